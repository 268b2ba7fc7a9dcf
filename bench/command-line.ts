import { parseArgs } from 'node:util';
import { CASES } from './cases/all.ts';

const HELP = `Measures Bursar side by side with the same written by hand, and says which targets are met.

  npm run bench [-- OPTION …]

  --quick            less data and shorter rounds: under two minutes
  --only CASE …      only these: ${CASES.map(({ name }) => name).join(', ')}
  --json FILE        writes the results there too
  --keep FOLDER      keeps the loaded databases there, for the next run
  --seconds N        length of a round
  --rounds N         number of rounds
  --explain FOLDER   measures nothing, writes the plans of the main queries there
  --soak MINUTES     measures nothing but memory, under full load
`;

export type CommandLine = ReturnType<typeof readCommandLine>;

export function readCommandLine(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      json: { type: 'string' },
      keep: { type: 'string' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      explain: { type: 'string' },
      soak: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const names = [...(values.only ?? []), ...positionals];
  const unknown = names.find((name) => !CASES.some((one) => one.name === name));
  if (unknown !== undefined) {
    throw new Error(`There is no case "${unknown}"; npm run bench -- --help lists them.`);
  }
  return {
    ...values,
    cases: names.length === 0 ? CASES : CASES.filter(({ name }) => names.includes(name)),
    seconds: positive('--seconds', values.seconds),
    rounds: positive('--rounds', values.rounds),
    soak: positive('--soak', values.soak),
  };
}

function positive(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${option} takes a number above 0, not "${text}".`);
  return value;
}

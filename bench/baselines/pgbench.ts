import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Bench } from '../bench.ts';
import { gatewayId, MODEL } from '../data/world.ts';
import { progress } from '../progress.ts';
import type { Measurement } from '../results.ts';
import { median } from '../statistics.ts';

/** A call authorized and settled by pgbench, each transaction in one go: what PostgreSQL does when nothing else is there. */
const SCRIPT = `
\\set call random(1, 1000000000000000)
\\set o random(0, 99)
\\set r random(0, 99)
\\startpipeline
begin;
${speak()}
select allowed from app_public.authorize_ai_spend(
  request_id => md5(:call::text)::uuid, user_id => md5('user ' || :o::text || '.' || :r::text)::uuid,
  provider => '${MODEL.provider}', model => '${MODEL.model}', input_tokens => 1000, max_output_tokens => 500);
commit;
\\endpipeline
\\startpipeline
begin;
${speak()}
select cost_micros from app_public.settle_ai_spend(request_id => md5(:call::text)::uuid, input_tokens => 1000, output_tokens => 300);
commit;
\\endpipeline
`;

function speak(): string {
  return `select set_config('role', 'bursar_user', true), set_config('bursar.user_id', '${gatewayId}', true), set_config('bursar.door', 'rest', true);`;
}

/** Nothing where there is no pgbench. */
export async function measurePgbench(bench: Bench): Promise<Measurement | undefined> {
  if (spawnSync('pgbench', ['--version']).status !== 0) return undefined;
  const { authenticator } = await bench.database('small');
  const folder = await mkdtemp(join(tmpdir(), 'bursar-pgbench-'));
  try {
    const script = join(folder, 'call.sql');
    await writeFile(script, SCRIPT);
    const { connections, seconds, rounds } = bench.settings;
    const rates: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { stdout } = await promisify(execFile)(
        'pgbench',
        [
          ...['--no-vacuum', '--protocol=prepared', `--file=${script}`],
          ...[`--client=${connections}`, '--jobs=1', `--time=${Math.ceil(seconds)}`],
          ...[`--random-seed=${Date.now() + round}`, authenticator],
        ],
        // It prepares everything before the first transaction, which only bursar_user may.
        { env: { ...process.env, PGOPTIONS: '-c role=bursar_user' } },
      );
      const rate = /^tps = ([\d.]+)/m.exec(stdout)?.[1];
      if (rate === undefined || !/failed transactions: 0 /.test(stdout)) {
        throw new Error(`pgbench says:\n${stdout}`);
      }
      rates.push(Number(rate));
      progress(`pgbench, round ${round + 1} of ${rounds}: ${Math.round(Number(rate))} pairs/s`);
    }
    return { contender: 'pgbench', unit: 'pairs/s', rounds: rates, value: median(rates) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

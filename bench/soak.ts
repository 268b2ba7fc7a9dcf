import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from './bench.ts';
import { oneBudget } from './cases/one-budget.ts';
import { spendManyGroups } from './cases/spend-many-groups.ts';
import { LoadProcess } from './load-process.ts';
import { progress } from './progress.ts';
import { median } from './statistics.ts';

const EVERY_SECONDS = 5;
const AT_MOST_MB = 300;
/** What a garbage collector takes and gives back meanwhile. */
const FLAT_WITHIN = 1.1;

/** Whether memory is flat: the first fifth is the start, the second is compared with the last. */
export function memoryVerdict(megabytes: readonly number[]): { is: string; met: boolean } {
  const fifth = Math.max(1, Math.floor(megabytes.length / 5));
  const early = median(megabytes.slice(fifth, 2 * fifth));
  const late = median(megabytes.slice(-fifth));
  const most = Math.max(...megabytes);
  const isFlat = late <= early * FLAT_WITHIN;
  return {
    is: `${isFlat ? 'flat' : 'growing'}: ${early.toFixed(0)} MB in the second fifth, ${late.toFixed(0)} MB in the last, at most ${most.toFixed(0)} MB (limit ${AT_MOST_MB} MB)`,
    met: isFlat && most < AT_MOST_MB,
  };
}

/** Full load for so long, of reads and of calls that are authorized and settled. */
export async function soak(bench: Bench, minutes: number): Promise<boolean> {
  const { url, pid } = await bench.server('bursar');
  const { poolSize, connections } = bench.settings;
  const until = Date.now() + minutes * 60_000;
  const seen: number[] = [];
  const second = new LoadProcess('load.ts');
  const run = (process: LoadProcess, caseName: string, contender: string) =>
    process.run({
      caseName,
      contender,
      url,
      connections: connections / 2,
      poolSize,
      warmUpSeconds: 0,
      seconds: minutes * 60,
    });
  const watch = async () => {
    while (Date.now() < until) {
      await sleep(Math.min(EVERY_SECONDS * 1000, minutes * 1000));
      seen.push(await residentMegabytes(pid));
      progress(`soak: ${seen.at(-1)?.toFixed(0)} MB`);
    }
  };
  try {
    const [reads, spends] = await Promise.all([
      run(bench.load, oneBudget.name, 'Bursar, GraphQL'),
      run(second, spendManyGroups.name, 'Bursar, many groups'),
      watch(),
    ]);
    const { is, met } = memoryVerdict(seen);
    process.stdout.write(
      `${minutes} minutes of ${Math.round(reads.perSecond)} reads/s and ${Math.round(spends.perSecond)} authorized and settled calls/s. Resident memory is ${is}.\n`,
    );
    return met;
  } finally {
    second.stop();
  }
}

/** Of a process and the processes that it started. */
async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  let megabytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024;
  for (const child of children.split(' ').filter(Boolean)) {
    megabytes += await residentMegabytes(Number(child)).catch(() => 0);
  }
  return megabytes;
}

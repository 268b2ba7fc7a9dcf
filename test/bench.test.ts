import { describe, expect, test } from 'vitest';
import { closedLoop } from '../bench/closed-loop.ts';
import { contestOf, takeTurns } from '../bench/contest.ts';
import { betweenMarkers } from '../bench/page.ts';
import { statementsIn, suspectsIn } from '../bench/plans.ts';
import { asMarkdown, asText, markdownTable, shortNumber } from '../bench/report.ts';
import { compared, missedBy, type Results } from '../bench/results.ts';
import { memoryVerdict } from '../bench/soak.ts';
import { median, merged, percentile } from '../bench/statistics.ts';

describe('statistics', () => {
  test('the median of odd and even numbers of values, in any order', () => {
    expect(median([3, 1, 10])).toBe(3);
    expect(median([4, 1, 10, 2])).toBe(3);
    expect(() => median([])).toThrow('no median of nothing');
  });

  test('percentiles of several rounds come from all values', () => {
    const all = merged([Float64Array.of(9, 1), Float64Array.of(10, 2, 3)]);
    expect([...all]).toEqual([1, 2, 3, 9, 10]);
    expect([percentile(all, 50), percentile(all, 99), percentile(all, 1)]).toEqual([3, 10, 1]);
  });

  test('a ratio is the median of the ratios of each round', () => {
    const measured = (contender: string, rounds: number[]) => ({
      contender,
      unit: 'requests/s',
      rounds,
      value: median(rounds),
    });
    // One slow minute that hits both: the ratio of the medians would be 3.
    const { ratio } = contestOf([measured('a', [20, 30, 90]), measured('b', [10, 10, 45])]);
    expect(ratio('a', 'b')).toBe(2);
  });

  test('contenders take turns, and each round turns the order', async () => {
    const turns: string[] = [];
    await takeTurns(['a', 'b'], 3, async (one, round) => void turns.push(`${one}${round}`));
    expect(turns).toEqual(['a0', 'b0', 'b1', 'a1', 'a2', 'b2']);
  });
});

const RESULTS: Results = {
  machine: {
    processor: 'A processor',
    cores: 2,
    memoryGb: 8,
    system: 'linux',
    node: 'v24',
    postgres: '18',
    postgresSettings: { fsync: 'on' },
    commit: 'abc',
    date: '2026-01-02T03:04:05Z',
  },
  settings: {
    quick: true,
    smallLedger: 1,
    largeLedger: 2,
    groupsOfAnOrganization: 3,
    rounds: 3,
    warmUpSeconds: 0,
    seconds: 1,
    connections: 16,
    poolSize: 10,
  },
  data: [],
  cases: [
    {
      name: 'one',
      title: 'One | thing',
      measurements: [
        { contender: 'Bursar', unit: 'requests/s', rounds: [1234.4], value: 1234.4, p50: 1.234 },
      ],
      comparisons: [
        compared('by REST', 'Express', 1.79, { atLeast: 1.8 }),
        compared('longer', 'shorter', 3, { atMost: 3 }),
        compared('by the way', 'Express', 0.1),
      ],
      checks: [{ what: 'discrepancies', is: '1', met: false }],
      notes: [],
    },
  ],
};

describe('the report', () => {
  test('says what is met and what is missed, and nothing about what has no target', () => {
    expect(compared('just', 'so', 1.8, { atLeast: 1.8 }).met).toBe(true);
    expect(missedBy(RESULTS)).toEqual(['one: by REST', 'one: discrepancies']);
    const text = asText(RESULTS);
    expect(text).toMatch(/Bursar +1,234 requests\/s +1\.23 ms/);
    expect(text).toMatch(/by REST \/ Express +1\.79 +at least 1\.8 +missed/);
    expect(text).toMatch(/longer \/ shorter +3 +at most 3 +met/);
    expect(text).toMatch(/by the way \/ Express +0\.1\n/);
  });

  test('a bar in a cell does not end it', () => {
    expect(markdownTable(['a'], [['x | y']])).toBe('| a |\n| --- |\n| x \\| y |');
    expect(asMarkdown(RESULTS)).toContain('| One \\| thing | by REST / Express | 1.79 |');
  });

  test('numbers are as long as they mean something', () => {
    expect([12345.6, 12.345, 0.012345].map(shortNumber)).toEqual(['12,346', '12.3', '0.0123']);
  });

  test('replaces what stands between the markers of a page, and no more', () => {
    const page =
      'a\n<!-- results: written by npm run bench:plots -->\nold\n<!-- end of results -->\nb\n';
    const once = betweenMarkers(page, 'new');
    expect(once).toMatch(/^a\n<!-- results[\s\S]*\n\nnew\n\n<!-- end of results -->\nb\n$/);
    expect(betweenMarkers(once, 'new')).toBe(once);
    expect(() => betweenMarkers('a page', 'new')).toThrow('The page needs the lines');
  });
});

test('statements, what was in their parameters and their plans are read off the log', () => {
  const [first, second] = statementsIn([
    '2026-01-02 UTC [1] LOG:  duration: 1.234 ms  plan:',
    '\tQuery Text: select *',
    '\tfrom t where a = $1 and b = $2',
    "\tQuery Parameters: $1 = 'it''s', $2 = NULL",
    '\tSeq Scan on t  (cost=0.00..1.00 rows=1 width=4)',
    '\t  Filter: (a = $1)',
    '\t  Rows Removed by Filter: 5000',
    '2026-01-02 UTC [1] LOG:  something else',
    '\tof several lines',
    '2026-01-02 UTC [1] LOG:  duration: 0.1 ms  plan:',
    '\tQuery Text: select 1',
    '\tResult  (cost=0.00..0.01 rows=1 width=4)',
  ]);
  expect(first).toMatchObject({
    text: 'select *\nfrom t where a = $1 and b = $2',
    parameters: ["it's", null],
  });
  expect(suspectsIn(first?.plan ?? '')).toEqual(['a sequential scan over t threw 5000 rows away']);
  expect(second).toEqual({
    text: 'select 1',
    parameters: [],
    plan: 'Result  (cost=0.00..0.01 rows=1 width=4)',
  });
  expect(suspectsIn(second?.plan ?? '')).toEqual([]);
});

test('memory is flat or growing after its first fifth, and has a limit', () => {
  const grows = Array.from({ length: 10 }, (_, n) => 100 + 10 * n);
  const settles = [50, 90, 120, 121, 119, 122, 120, 121, 120, 121];
  expect(memoryVerdict(grows)).toMatchObject({ met: false, is: expect.stringMatching(/^growing/) });
  expect(memoryVerdict(settles)).toMatchObject({ met: true, is: expect.stringMatching(/^flat/) });
  expect(memoryVerdict(settles.map((mb) => 3 * mb)).met).toBe(false);
});

test('a wrong answer ends the measurement, whoever gets it', async () => {
  const right = () => new Promise<void>((resolve) => setTimeout(resolve, 1));
  const wrong = async () => {
    throw new Error('not what was asked for');
  };
  await expect(closedLoop([right, wrong, right], 0, 10)).rejects.toThrow('not what was asked for');
});

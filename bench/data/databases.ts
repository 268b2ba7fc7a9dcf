import type { Client } from 'pg';
import type { DatabaseName } from '../bench.ts';
import type { Settings } from '../settings.ts';
import { loadLedger } from './ledger.ts';
import { loadManyGroups } from './many-groups.ts';
import { loadPeople } from './people.ts';

/**
 * The name of a database, what it has (another stamp: it is loaded anew), whose copy it begins as, and how it gets
 * the rest.
 */
export type DatabaseContent = {
  readonly name: string;
  readonly stamp: string;
  readonly base?: DatabaseContent;
  load(client: Client): Promise<void>;
};

export function contentOf(name: DatabaseName, settings: Settings): DatabaseContent {
  switch (name) {
    case 'small':
      return ledgerOf(settings.smallLedger);
    case 'large':
      return ledgerOf(settings.largeLedger);
    case 'many groups':
      return manyGroups(settings.groupsOfAnOrganization);
  }
}

const PEOPLE: DatabaseContent = {
  name: 'bursar_bench_people',
  stamp: 'people',
  load: loadPeople,
};

function ledgerOf(rows: number): DatabaseContent {
  return {
    name: `bursar_bench_${rows}`,
    // A database of another month has its ledger elsewhere.
    stamp: `people and a ledger of ${rows}, ${new Date().toISOString().slice(0, 7)}`,
    base: PEOPLE,
    load: (client) => loadLedger(client, rows),
  };
}

function manyGroups(groups: number): DatabaseContent {
  return {
    name: `bursar_bench_${groups}_groups`,
    stamp: 'many groups',
    load: (client) => loadManyGroups(client, groups),
  };
}

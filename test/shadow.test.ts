import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, inject, test } from 'vitest';
import { withoutShadow } from '../src/migrations/shadow.ts';
import { asSuperuser } from './support/database.ts';

test('the shadow is made anew also while a superuser’s process, such as one that vacuums, is just leaving it', async () => {
  const name = `shadow_${randomBytes(6).toString('hex')}`;
  await asSuperuser('postgres', (client) =>
    client.query(`create database ${name} owner bursar_owner`),
  );
  const url = (database: string) => `postgres://bursar_owner:owner@${inject('host')}/${database}`;
  const inside = new Client({ connectionString: `${inject('superuser')}${name}` });
  await inside.connect();
  const left = sleep(300).then(() => inside.end());
  const urls = {
    owner: url('x'),
    authenticator: url('x'),
    shadow: url(name),
    root: url('postgres'),
  };
  const databases = await withoutShadow(urls, async (root) => {
    const { rowCount } = await root.query('select from pg_database where datname = $1', [name]);
    return rowCount;
  });
  expect(databases).toBe(0);
  await left;
});

import { expect, test } from 'vitest';
import { readWorkflowUrls } from '../src/database-urls.ts';

// The shadow is dropped and made anew: it must never be a database that somebody uses.

const urls = (owner: string, shadow: string, root?: string) => () =>
  readWorkflowUrls({
    DATABASE_URL: owner,
    AUTH_DATABASE_URL: 'postgres://server@localhost/app',
    SHADOW_DATABASE_URL: shadow,
    ...(root && { ROOT_DATABASE_URL: root }),
  });

test.each([
  ['postgres://o@localhost/shadowfax', 'postgres://o@localhost:5432/shadowfax'],
  ['postgres://o@127.0.0.1:5432/shadowfax', 'postgres://o@localhost:5432/shadowfax'],
  ['postgres://o@db/x_shadow', 'postgres://o@db/x%5Fshadow'],
])('%s and %s are one database, whatever they look like', (owner, shadow) => {
  expect(urls(owner, shadow)).toThrow(
    /names the same database as DATABASE_URL, and would be dropped/,
  );
  expect(urls('postgres://o@localhost/app', shadow, owner)).toThrow(
    /the same database as ROOT_DATABASE_URL/,
  );
});

test('a shadow with a name of its own is taken', () => {
  expect(urls('postgres://o@localhost/app', 'postgres://o@localhost/app_shadow')()).toMatchObject({
    shadow: 'postgres://o@localhost/app_shadow',
  });
});

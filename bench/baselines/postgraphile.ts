import { createServer } from 'node:http';
import { PgAggregatesPreset } from '@graphile/pg-aggregates';
import { PgSimplifyInflectionPreset } from '@graphile/simplify-inflection';
import express from 'express';
import { jwtVerify } from 'jose';
import { Pool } from 'pg';
import { postgraphile } from 'postgraphile';
import { makePgService } from 'postgraphile/adaptors/pg';
import { grafserv } from 'postgraphile/grafserv/express/v4';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';
import { PostGraphileConnectionFilterPreset } from 'postgraphile-plugin-connection-filter';
import { NamesPlugin } from '../../plugins/names.ts';
import { OneRowPlugin } from '../../plugins/one-row.ts';
import { listen } from './listen.ts';

/**
 * PostGraphile as it comes, with its own way to the database. It has what the text of the queries needs: the
 * names, the filters and the aggregates.
 */

const secret = new TextEncoder().encode(process.env.JWT_SECRET);
const pool = new Pool({
  connectionString: process.env.AUTH_DATABASE_URL,
  max: Number(process.env.DATABASE_POOL_SIZE),
});

const instance = postgraphile({
  extends: [
    PostGraphileAmberPreset,
    PgSimplifyInflectionPreset,
    PostGraphileConnectionFilterPreset,
    PgAggregatesPreset,
  ],
  plugins: [NamesPlugin, OneRowPlugin],
  pgServices: [makePgService({ pool, schemas: ['app_public'], pubsub: false })],
  schema: { defaultBehavior: '-aggregates -groupedAggregates' },
  grafast: {
    context: async ({ expressv4 }) => {
      const token = expressv4?.req.headers.authorization?.replace(/^Bearer /, '') ?? '';
      const { payload } = await jwtVerify(token, secret, { algorithms: ['HS256'] });
      return {
        pgSettings: {
          role: 'bursar_user',
          'bursar.user_id': payload.sub ?? '',
          'bursar.door': 'graphql',
        },
      };
    },
  },
});

await instance.getSchema();
const app = express();
const server = createServer(app);
await instance.createServ(grafserv).addTo(app, server);
await listen(
  'PostGraphile',
  app,
  async () => {
    await instance.release();
    await pool.end();
  },
  server,
);

import express, { type RequestHandler } from 'express';
import { jwtVerify } from 'jose';
import { Pool, type PoolClient } from 'pg';
import { listen } from './listen.ts';

/**
 * The endpoint that most people would write by hand: the token is checked, and each request is a
 * transaction whose statements are sent and awaited one by one, under the same policies.
 */

const secret = new TextEncoder().encode(process.env.JWT_SECRET);
const pool = new Pool({
  connectionString: process.env.AUTH_DATABASE_URL,
  max: Number(process.env.DATABASE_POOL_SIZE),
});

type Work = (client: PoolClient, request: express.Request) => Promise<unknown>;

const asCaller =
  (work: Work): RequestHandler =>
  async (request, response) => {
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    const { payload } = await jwtVerify(token, secret, { algorithms: ['HS256'] });
    const client = await pool.connect();
    try {
      await client.query('begin');
      await client.query(
        `select set_config('role', 'bursar_user', true), set_config('bursar.user_id', $1, true), set_config('bursar.door', 'rest', true)`,
        [payload.sub],
      );
      const answer = await work(client, request);
      await client.query('commit');
      if (answer === undefined) response.status(404).json({ message: 'not found' });
      else response.json(answer);
    } catch (error) {
      await client.query('rollback');
      throw error;
    } finally {
      client.release();
    }
  };

const app = express();
app.use(express.json());

app.get(
  '/groups/:id/budget',
  asCaller(async (client, request) => {
    const { rows } = await client.query(
      `select group_id, spend_limit_micros, created_at, updated_at
       from app_public.group_ai_budgets where group_id = $1`,
      [request.params.id],
    );
    return rows[0];
  }),
);

app.put(
  '/groups/:id/budget',
  asCaller(async (client, request) => {
    const { rows } = await client.query(
      `select group_id, spend_limit_micros, created_at, updated_at
       from app_public.upsert_group_ai_budget($1, $2)`,
      [request.params.id, request.body.spend_limit_micros],
    );
    return rows[0];
  }),
);

const GROUPS = `select id, name from app_public.groups
  where organization_id = $1 order by name, id limit 50`;

// One query for each relation, put together here.
app.get(
  '/organizations/:id/groups',
  asCaller(async (client, request) => {
    const groups = await client.query(GROUPS, [request.params.id]);
    const ids = groups.rows.map((group) => group.id);
    const budgets = await client.query(
      `select group_id, spend_limit_micros, applies_to, period
       from app_public.group_ai_budgets where group_id = any ($1)`,
      [ids],
    );
    const statuses = await client.query(
      `select s.group_id, s.spent_micros, s.held_micros, s.remaining_micros
       from app_public.groups g cross join lateral app_public.groups_ai_budget_status(g) as s
       where g.id = any ($1)`,
      [ids],
    );
    const budgetOf = new Map(budgets.rows.map((budget) => [budget.group_id, budget]));
    const statusOf = new Map(statuses.rows.map((status) => [status.group_id, status]));
    return groups.rows.map((group) => ({
      ...group,
      budget: budgetOf.get(group.id) ?? null,
      status: statusOf.get(group.id) ?? null,
    }));
  }),
);

// A query for each relation of each group: what happens when nobody looks.
app.get(
  '/organizations/:id/groups-one-by-one',
  asCaller(async (client, request) => {
    const groups = await client.query(GROUPS, [request.params.id]);
    const answer = [];
    for (const group of groups.rows) {
      const budget = await client.query(
        `select group_id, spend_limit_micros, applies_to, period
         from app_public.group_ai_budgets where group_id = $1`,
        [group.id],
      );
      const status = await client.query(
        `select group_id, spent_micros, held_micros, remaining_micros
         from app_public.ai_budget_status($1)`,
        [group.id],
      );
      answer.push({ ...group, budget: budget.rows[0] ?? null, status: status.rows[0] ?? null });
    }
    return answer;
  }),
);

await listen('Express', app, () => pool.end());

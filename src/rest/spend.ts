import { Router } from 'express';
import { CallerError, NOT_FOUND_TEXT } from '../errors.ts';
import { parseObject } from '../exact-json.ts';
import { signedIn } from '../identity.ts';
import type { Caller } from '../on-behalf.ts';
import { sendJson } from './answers.ts';
import { bodyReader } from './body.ts';
import { type Fields, readFields, text, time, uuid, whole } from './fields.ts';
import {
  aboutGroup,
  addRoute,
  bodyFrom,
  groupOf,
  passFeatureGate,
  type RouteContext,
  wrongMethod,
} from './route.ts';
import { namingLines, readUsageBatch } from './usage-batch.ts';

/** A route that hands its fields, by name, to the SQL function of the same subject. */
type SpendCall = {
  readonly function: string;
  readonly fields: Fields;
  /** Which columns of its result are answered. */
  readonly answer: string;
};

const CALLS: Readonly<Record<string, SpendCall>> = {
  authorize: {
    function: 'authorize_ai_spend',
    fields: {
      request_id: uuid,
      user_id: uuid,
      provider: text,
      model: text,
      input_tokens: whole,
      max_output_tokens: whole,
      cache_read_tokens: whole,
      cache_write_tokens: whole,
      group_id: uuid,
      organization_id: uuid,
    },
    answer: `allowed, reason, hold_id, group_id, estimate_micros, limit_micros, spent_micros,
      held_micros, remaining_micros, period_start, period_end, expires_at`,
  },
  settle: {
    function: 'settle_ai_spend',
    fields: {
      request_id: uuid,
      hold_id: uuid,
      input_tokens: whole,
      output_tokens: whole,
      cache_read_tokens: whole,
      cache_write_tokens: whole,
      occurred_at: time,
    },
    answer: 'event_id, group_id, cost_micros, overage_micros',
  },
  release: {
    function: 'release_ai_spend',
    fields: { request_id: uuid, hold_id: uuid },
    answer: 'answer as released',
  },
};

/** PostgreSQL writes the body, so that no amount passes through a double. */
const bodyOf = (columns: string, source: string) =>
  `select to_json(a)::text as body from (select ${columns} from ${source}) as a`;

function statementOf({ function: name, fields, answer }: SpendCall): string {
  const given = Object.keys(fields).map((field, index) => `${field} => $${index + 1}`);
  return bodyOf(answer, `app_public.${name}(${given.join(', ')}) as answer`);
}

/** How the answer of `authorize`, and no other, begins. */
const DECISION = /^\{"allowed":(true|false),"reason":(?:null|"(\w+)"),/;

const RECORD = bodyOf('recorded, duplicates', `app_public.record_ai_usage($1::jsonb -> 'events')`);

const STATUS = bodyOf(
  'group_id, limit_micros, spent_micros, held_micros, remaining_micros, period_start, period_end',
  'app_public.ai_budget_status($1)',
);

async function recordsUsage(context: RouteContext, caller: Caller): Promise<boolean> {
  const statement = 'select app_hidden.records_usage()::text as body';
  return (await bodyFrom(context, caller, statement, [])) === 'true';
}

/**
 * What gateways call: may this call go ahead, what did it use, and what has a group spent. Who may, and what
 * it comes to, is decided by the functions that are called; a call that is refused is a success here.
 */
export function spendRoutes(context: RouteContext): Router {
  const router = Router();
  const readBody = bodyReader('16kb');
  const readBatch = bodyReader('10mb');

  for (const [name, call] of Object.entries(CALLS)) {
    const statement = statementOf(call);
    addRoute(router, `/ai/spend/${name}`, async (request, response) => {
      const caller = signedIn(request);
      await passFeatureGate(context, response);
      if (request.method !== 'POST') throw wrongMethod(response, 'POST');
      const body = parseObject(await readBody(request, response));
      const values = readFields(body, call.fields);
      const answer = (await bodyFrom(context, caller, statement, values)) ?? '';
      const decision = context.onDecision === undefined ? null : DECISION.exec(answer);
      if (decision !== null) context.onDecision?.(decision[1] === 'true', decision[2] ?? null);
      sendJson(response, 200, answer);
    });
  }

  addRoute(router, '/ai/usage', async (request, response) => {
    const caller = signedIn(request);
    await passFeatureGate(context, response);
    if (request.method !== 'POST') throw wrongMethod(response, 'POST');
    // Nobody else gets to send ten megabytes that must be read.
    const read = (await recordsUsage(context, caller)) ? readBatch : readBody;
    const sent = await read(request, response);
    const batch = readUsageBatch(sent, request.headers['content-type']);
    const body = await bodyFrom(context, caller, RECORD, [batch.json]).catch((error) => {
      throw namingLines(error, batch);
    });
    sendJson(response, 200, body ?? '');
  });

  addRoute(router, '/groups/:group/ai/spend', async (request, response) => {
    const caller = signedIn(request);
    const group = groupOf(request);
    await aboutGroup(context, caller, group, response, async () => {
      await passFeatureGate(context, response);
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        throw wrongMethod(response, 'GET, HEAD');
      }
      const body = await bodyFrom(context, caller, STATUS, [group]);
      if (body === undefined) throw new CallerError('NOT_FOUND', NOT_FOUND_TEXT);
      sendJson(response, 200, body);
    });
  });

  return router;
}

import { randomUUID } from 'node:crypto';
import type { Contender, Database } from '../caller.ts';
import {
  gatewayId,
  groupOfUser,
  MODEL,
  ORGANIZATIONS,
  USERS_OF_AN_ORGANIZATION,
  userId,
} from '../data/world.ts';
import { type Connection, tokenOf } from '../http-client.ts';

/** Authorize a call and settle it: what a gateway does for each call, at most 4,500 micros at the list's prices. */

export type Spender = { readonly user: string; readonly group?: string };
export type Decision = { readonly allowed: boolean; readonly estimate_micros: number };

/** Each connection walks through all organizations, from another one on. */
function* everybody(number: number): Generator<Spender, never> {
  for (let n = number * 7; ; n += 1) {
    const user = Math.floor(n / ORGANIZATIONS) % USERS_OF_AN_ORGANIZATION;
    yield { user: userId(n % ORGANIZATIONS, user) };
  }
}

export const HOT: Required<Spender> = { user: userId(5, 0), group: groupOfUser(5, 0) };

function* nobodyElse(): Generator<Spender, never> {
  for (;;) yield HOT;
}

export const authorizationOf = ({ user, group }: Spender, request: string) => ({
  request_id: request,
  user_id: user,
  ...(group === undefined ? {} : { group_id: group }),
  ...MODEL,
  input_tokens: 1000,
  max_output_tokens: 100,
});

function mustBeAllowed(decision: Decision | undefined): void {
  if (decision?.allowed !== true) {
    throw new Error(`Refused with an ample budget: ${JSON.stringify(decision)}`);
  }
}

function mustCost(micros: unknown): void {
  // 1,000 tokens at $3 and 50 at $15 for a million.
  if (Number(micros) !== 3750) throw new Error(`The call cost ${micros} micros instead of 3750.`);
}

const pairByRest =
  (spenders: (number: number) => Generator<Spender, never>) =>
  async (connection: Connection, number: number) => {
    const token = await tokenOf(gatewayId);
    const turns = spenders(number);
    const post = (path: string, body: object) =>
      connection.ask('POST', `/api/v2/ai/spend/${path}`, token, JSON.stringify(body));
    return async () => {
      const id = randomUUID();
      mustBeAllowed((await post('authorize', authorizationOf(turns.next().value, id))) as Decision);
      const settled = await post('settle', {
        request_id: id,
        input_tokens: 1000,
        output_tokens: 50,
      });
      mustCost((settled as { cost_micros: number }).cost_micros);
    };
  };

async function pairBySql(database: Database, number: number) {
  const turns = everybody(number);
  return async () => {
    const id = randomUUID();
    const { user } = turns.next().value;
    const [decision] = await database.ask<Decision>(
      gatewayId,
      'authorize',
      'select * from app_public.authorize_ai_spend($1, $2, $3, $4, 1000, 100)',
      [id, user, MODEL.provider, MODEL.model],
    );
    mustBeAllowed(decision);
    const [settled] = await database.ask<{ cost_micros: string }>(
      gatewayId,
      'settle',
      'select * from app_public.settle_ai_spend($1, 1000, 50)',
      [id],
    );
    mustCost(settled?.cost_micros);
  };
}

export const MANY_GROUPS: Contender = {
  name: 'Bursar, many groups',
  server: 'bursar',
  http: pairByRest(everybody),
};
export const ONE_GROUP: Contender = {
  name: 'Bursar, one group',
  server: 'bursar',
  http: pairByRest(nobodyElse),
};
export const FUNCTIONS_ALONE: Contender = { name: 'SQL, no HTTP', sql: pairBySql };

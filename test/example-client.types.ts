/**
 * What the generated types must refuse. Nothing here runs: `npm run types` fails where a line under
 * `@ts-expect-error` has no error any more.
 */
import { type Bursar, BursarError, connect } from '../examples/client/bursar.ts';
import {
  BudgetOfGroupDocument,
  type BudgetOfGroupQuery,
  type TypedDocumentString,
} from '../examples/client/generated/graphql.ts';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function holds<_ extends true>(): void {}

type Budget = NonNullable<Awaited<ReturnType<Bursar['budget']>>>;
type Decision = Awaited<ReturnType<Bursar['authorize']>>;
type Spend = ReturnType<Bursar['dailySpend']> extends AsyncGenerator<infer Row> ? Row : never;

export async function misuse(): Promise<void> {
  const bursar = connect('http://127.0.0.1:5678', 'token');
  const id = '00000000-0000-4000-8000-000000000000';
  const call = { requestId: id, userId: id, provider: 'acme', model: 'one' };

  // Scalars are what they are on the wire; none has become `any`.
  holds<Same<Budget['spendLimitMicros'], string>>();
  holds<Same<Budget['updatedAt'], string>>();
  holds<Same<Decision['estimateMicros'], string | null>>();
  holds<Same<Decision['expiresAt'], string | null>>();
  holds<Same<Spend['costMicros'], string>>();
  holds<Same<Spend['day'], string>>();
  // Lists have no holes.
  holds<Same<Spend extends null ? true : false, false>>();

  // @ts-expect-error: an amount is a string
  await bursar.setBudget(id, 750_000_000);
  // @ts-expect-error: a token count too
  await bursar.authorize({ ...call, inputTokens: 1000, maxOutputTokens: '1' });
  // @ts-expect-error: what every call needs
  await bursar.authorize({ ...call, inputTokens: '1000' });
  // @ts-expect-error: a field that is misspelt
  await bursar.authorize({ ...call, inputTokens: '1', maxOutputTokens: '1', cachedTokens: '1' });
  // @ts-expect-error: a period that is none
  await bursar.setTerms({ groupId: id, period: 'fortnight' });
  // @ts-expect-error: a price is no amount
  await bursar.loadPrices([{ provider: 'acme', model: 'one', input_price: '3' }]);
  // @ts-expect-error: there may be no budget
  (await bursar.budget(id)).spendLimitMicros;
  // @ts-expect-error: what the operation does not ask for is not in its answer
  (await bursar.budget(id))?.createdAt;

  // A document knows its variables and its answer.
  const document: TypedDocumentString<BudgetOfGroupQuery, { groupId: string }> =
    BudgetOfGroupDocument;
  // @ts-expect-error: another operation's answer
  const other: TypedDocumentString<{ aiModelPrice: null }, { groupId: string }> = document;

  // @ts-expect-error: a code that is none
  throw new BursarError('GONE', String(other));
}

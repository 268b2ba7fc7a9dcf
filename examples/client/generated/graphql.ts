/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core';
/** All input for the `authorizeAiSpend` mutation. */
export type AuthorizeAiSpendInput = {
  /** Tokens of the prompt that are read from the cache: 0 when left out. */
  cacheReadTokens?: string | null | undefined;
  /** Tokens of the prompt that are written to the cache: 0 when left out. */
  cacheWriteTokens?: string | null | undefined;
  /**
   * An arbitrary string value with no semantic meaning. Will be included in the
   * payload verbatim. May be used to track mutations by the client.
   */
  clientMutationId?: string | null | undefined;
  /** Charge this group, to which the user must belong. Left out: the user's group with the largest limit. */
  groupId?: string | null | undefined;
  /** The most tokens of the prompt that are neither read from nor written to the cache. */
  inputTokens: string;
  /** The most tokens that may come back: tell the provider the same. */
  maxOutputTokens: string;
  /** The model, as the price list has it. */
  model: string;
  /** Needed for a user in several organizations when no group is named. */
  organizationId?: string | null | undefined;
  /** Who serves the model, as the price list has it. */
  provider: string;
  /** A UUID that the caller makes for each call, and sends again when no answer came. */
  requestId: string;
  /** Whose call it is. */
  userId: string;
};

/**
 * Calendar periods in the organization's time zone, from midnight to midnight.
 * day: 23, 24 or 25 hours. week: begins on Monday. month: a calendar month.
 * quarter: begins in January, April, July and October. year: a calendar year.
 * lifetime: never begins anew.
 */
export type BudgetPeriod =
  /** 23, 24 or 25 hours. */
  | 'day'
  /** Never begins anew. */
  | 'lifetime'
  /** A calendar month. */
  | 'month'
  /** Begins in January, April, July and October. */
  | 'quarter'
  /** Begins on Monday. */
  | 'week'
  /** A calendar year. */
  | 'year';

/** For whom a budget counts. group: one pool for all members. member: each member has the limit for themselves. */
export type BudgetScope =
  /** One pool for all members. */
  | 'group'
  /** Each member has the limit for themselves. */
  | 'member';

/** All input for the `settleAiSpend` mutation. */
export type SettleAiSpendInput = {
  /** Tokens of the prompt that were read from the cache: 0 when left out. */
  cacheReadTokens?: string | null | undefined;
  /** Tokens of the prompt that were written to the cache: 0 when left out. */
  cacheWriteTokens?: string | null | undefined;
  /**
   * An arbitrary string value with no semantic meaning. Will be included in the
   * payload verbatim. May be used to track mutations by the client.
   */
  clientMutationId?: string | null | undefined;
  /** The same, by its hold: one of the two is needed. */
  holdId?: string | null | undefined;
  /** Tokens of the prompt that were neither read from nor written to the cache. Needed. */
  inputTokens?: string | null | undefined;
  /** When the call was made. Left out: when it was authorized. */
  occurredAt?: string | null | undefined;
  /** Tokens that came back. Needed. */
  outputTokens?: string | null | undefined;
  /** The request that was authorized. */
  requestId?: string | null | undefined;
};

export type BudgetFragment = { groupId: string, spendLimitMicros: string, appliesTo: BudgetScope, period: BudgetPeriod, updatedAt: string };

export type GroupWithMembersQueryVariables = Exact<{
  groupId: string;
}>;


export type GroupWithMembersQuery = { group: { id: string, name: string, organizationId: string, members: { nodes: Array<{ userId: string }> } } | null };

export type BudgetOfGroupQueryVariables = Exact<{
  groupId: string;
}>;


export type BudgetOfGroupQuery = { groupAiBudget: { groupId: string, spendLimitMicros: string, appliesTo: BudgetScope, period: BudgetPeriod, updatedAt: string } | null };

export type SetBudgetMutationVariables = Exact<{
  groupId: string;
  spendLimitMicros: string;
}>;


export type SetBudgetMutation = { upsertGroupAiBudget: { groupAiBudget: { groupId: string, spendLimitMicros: string, appliesTo: BudgetScope, period: BudgetPeriod, updatedAt: string } | null } | null };

export type SetBudgetTermsMutationVariables = Exact<{
  groupId: string;
  appliesTo?: BudgetScope | null | undefined;
  period?: BudgetPeriod | null | undefined;
}>;


export type SetBudgetTermsMutation = { setGroupAiBudgetTerms: { groupAiBudget: { groupId: string, spendLimitMicros: string, appliesTo: BudgetScope, period: BudgetPeriod, updatedAt: string } | null } | null };

export type RemoveBudgetMutationVariables = Exact<{
  groupId: string;
}>;


export type RemoveBudgetMutation = { deleteGroupAiBudget: { groupAiBudget: { groupId: string, spendLimitMicros: string, appliesTo: BudgetScope, period: BudgetPeriod, updatedAt: string } | null } | null };

export type LoadPricesMutationVariables = Exact<{
  prices: unknown;
}>;


export type LoadPricesMutation = { upsertAiModelPrices: { aiModelPrices: Array<{ provider: string, model: string, inputPrice: string | null, outputPrice: string | null, cacheReadPrice: string | null, cacheWritePrice: string | null }> | null } | null };

export type AuthorizeMutationVariables = Exact<{
  call: AuthorizeAiSpendInput;
}>;


export type AuthorizeMutation = { authorizeAiSpend: { decision: { allowed: boolean, reason: string | null, holdId: string | null, groupId: string, estimateMicros: string | null, remainingMicros: string | null, expiresAt: string | null } | null } | null };

export type SettleMutationVariables = Exact<{
  usage: SettleAiSpendInput;
}>;


export type SettleMutation = { settleAiSpend: { settlement: { eventId: string, groupId: string, costMicros: string | null, overageMicros: string | null } | null } | null };

export type ReleaseMutationVariables = Exact<{
  requestId: string;
}>;


export type ReleaseMutation = { releaseAiSpend: { released: boolean | null } | null };

export type DailySpendQueryVariables = Exact<{
  organizationId: string;
  first: number;
  after?: string | null | undefined;
}>;


export type DailySpendQuery = { aiSpendDailies: { nodes: Array<{ day: string, groupId: string, userId: string, provider: string, model: string, requests: string, costMicros: string, unpricedRequests: string }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null };

export class TypedDocumentString<TResult, TVariables>
  extends String
  implements DocumentTypeDecoration<TResult, TVariables>
{
  __apiType?: NonNullable<DocumentTypeDecoration<TResult, TVariables>['__apiType']>;
  private value: string;
  public __meta__?: Record<string, any> | undefined;

  constructor(value: string, __meta__?: Record<string, any> | undefined) {
    super(value);
    this.value = value;
    this.__meta__ = __meta__;
  }

  override toString(): string & DocumentTypeDecoration<TResult, TVariables> {
    return this.value;
  }
}
export const BudgetFragmentDoc = new TypedDocumentString(`
    fragment Budget on GroupAiBudget {
  groupId
  spendLimitMicros
  appliesTo
  period
  updatedAt
}
    `, {"fragmentName":"Budget"}) as unknown as TypedDocumentString<BudgetFragment, unknown>;
export const GroupWithMembersDocument = new TypedDocumentString(`
    query GroupWithMembers($groupId: UUID!) {
  group(id: $groupId) {
    id
    name
    organizationId
    members(first: 100) {
      nodes {
        userId
      }
    }
  }
}
    `) as unknown as TypedDocumentString<GroupWithMembersQuery, GroupWithMembersQueryVariables>;
export const BudgetOfGroupDocument = new TypedDocumentString(`
    query BudgetOfGroup($groupId: UUID!) {
  groupAiBudget(groupId: $groupId) {
    ...Budget
  }
}
    fragment Budget on GroupAiBudget {
  groupId
  spendLimitMicros
  appliesTo
  period
  updatedAt
}`) as unknown as TypedDocumentString<BudgetOfGroupQuery, BudgetOfGroupQueryVariables>;
export const SetBudgetDocument = new TypedDocumentString(`
    mutation SetBudget($groupId: UUID!, $spendLimitMicros: BigInt!) {
  upsertGroupAiBudget(
    input: {groupId: $groupId, spendLimitMicros: $spendLimitMicros}
  ) {
    groupAiBudget {
      ...Budget
    }
  }
}
    fragment Budget on GroupAiBudget {
  groupId
  spendLimitMicros
  appliesTo
  period
  updatedAt
}`) as unknown as TypedDocumentString<SetBudgetMutation, SetBudgetMutationVariables>;
export const SetBudgetTermsDocument = new TypedDocumentString(`
    mutation SetBudgetTerms($groupId: UUID!, $appliesTo: BudgetScope, $period: BudgetPeriod) {
  setGroupAiBudgetTerms(
    input: {groupId: $groupId, appliesTo: $appliesTo, period: $period}
  ) {
    groupAiBudget {
      ...Budget
    }
  }
}
    fragment Budget on GroupAiBudget {
  groupId
  spendLimitMicros
  appliesTo
  period
  updatedAt
}`) as unknown as TypedDocumentString<SetBudgetTermsMutation, SetBudgetTermsMutationVariables>;
export const RemoveBudgetDocument = new TypedDocumentString(`
    mutation RemoveBudget($groupId: UUID!) {
  deleteGroupAiBudget(input: {groupId: $groupId}) {
    groupAiBudget {
      ...Budget
    }
  }
}
    fragment Budget on GroupAiBudget {
  groupId
  spendLimitMicros
  appliesTo
  period
  updatedAt
}`) as unknown as TypedDocumentString<RemoveBudgetMutation, RemoveBudgetMutationVariables>;
export const LoadPricesDocument = new TypedDocumentString(`
    mutation LoadPrices($prices: JSON!) {
  upsertAiModelPrices(input: {seed: $prices}) {
    aiModelPrices {
      provider
      model
      inputPrice
      outputPrice
      cacheReadPrice
      cacheWritePrice
    }
  }
}
    `) as unknown as TypedDocumentString<LoadPricesMutation, LoadPricesMutationVariables>;
export const AuthorizeDocument = new TypedDocumentString(`
    mutation Authorize($call: AuthorizeAiSpendInput!) {
  authorizeAiSpend(input: $call) {
    decision {
      allowed
      reason
      holdId
      groupId
      estimateMicros
      remainingMicros
      expiresAt
    }
  }
}
    `) as unknown as TypedDocumentString<AuthorizeMutation, AuthorizeMutationVariables>;
export const SettleDocument = new TypedDocumentString(`
    mutation Settle($usage: SettleAiSpendInput!) {
  settleAiSpend(input: $usage) {
    settlement {
      eventId
      groupId
      costMicros
      overageMicros
    }
  }
}
    `) as unknown as TypedDocumentString<SettleMutation, SettleMutationVariables>;
export const ReleaseDocument = new TypedDocumentString(`
    mutation Release($requestId: UUID!) {
  releaseAiSpend(input: {requestId: $requestId}) {
    released
  }
}
    `) as unknown as TypedDocumentString<ReleaseMutation, ReleaseMutationVariables>;
export const DailySpendDocument = new TypedDocumentString(`
    query DailySpend($organizationId: UUID!, $first: Int!, $after: Cursor) {
  aiSpendDailies(
    filter: {organizationId: {equalTo: $organizationId}}
    orderBy: PRIMARY_KEY_ASC
    first: $first
    after: $after
  ) {
    nodes {
      day
      groupId
      userId
      provider
      model
      requests
      costMicros
      unpricedRequests
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
    `) as unknown as TypedDocumentString<DailySpendQuery, DailySpendQueryVariables>;
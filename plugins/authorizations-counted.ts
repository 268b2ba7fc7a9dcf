import { list, type Step, sideEffect } from 'postgraphile/grafast';
import type { OnDecision } from '../src/metrics.ts';
import 'postgraphile';

/** Tells of each decision about a call that is answered by GraphQL, whether the client asked to see it or not. */
export function createAuthorizationsCountedPlugin(onDecision: OnDecision): GraphileConfig.Plugin {
  return {
    name: 'BursarAuthorizationsCountedPlugin',
    description: 'Counts the decisions of authorizeAiSpend',
    version: '1.0.0',
    schema: {
      hooks: {
        GraphQLObjectType_fields_field(field, _build, { scope }) {
          const { plan } = field;
          const { isRootMutation, fieldName } = scope as {
            isRootMutation?: boolean;
            fieldName?: string;
          };
          if (plan === undefined || !isRootMutation || fieldName !== 'authorizeAiSpend') {
            return field;
          }
          return {
            ...field,
            plan(...args: Parameters<typeof plan>) {
              const $payload = plan(...args) as Step & {
                get(key: 'result'): Step & { get(column: string): Step };
              };
              const $decision = $payload.get('result');
              sideEffect(
                list([$decision.get('allowed'), $decision.get('reason')]),
                ([allowed, reason]) => onDecision(allowed as boolean, reason as string | null),
              );
              return $payload;
            },
          };
        },
      },
    },
  };
}

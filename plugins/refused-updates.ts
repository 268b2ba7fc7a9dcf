import { type Step, sideEffect, TRAP_INHIBITED, trap } from 'postgraphile/grafast';
import { CallerError, NOT_FOUND_TEXT } from '../src/errors.ts';
import 'postgraphile';

/**
 * An update or deletion that found no row says so. The generated one answers null as if all were well, whether the row
 * is absent or row-level security keeps it from the caller.
 */
export const RefusedUpdatesPlugin: GraphileConfig.Plugin = {
  name: 'BursarRefusedUpdatesPlugin',
  description: 'Updates and deletions of rows that are absent or forbidden are NOT_FOUND',
  version: '1.0.0',
  schema: {
    hooks: {
      GraphQLObjectType_fields_field(field, _build, { scope }) {
        const { plan } = field;
        const { isPgUpdateMutation, isPgDeleteMutation } = scope as {
          isPgUpdateMutation?: boolean;
          isPgDeleteMutation?: boolean;
        };
        if (plan === undefined || !(isPgUpdateMutation || isPgDeleteMutation)) return field;
        return {
          ...field,
          plan(...args: Parameters<typeof plan>) {
            const $payload = plan(...args) as Step & { get(key: string): Step };
            // A node id that is none stops the step instead of making it fail.
            const $row = trap($payload.get('result'), TRAP_INHIBITED, {
              valueForInhibited: 'NULL',
            });
            sideEffect($row, (row) => {
              if (row === null || row === undefined) {
                throw new CallerError('NOT_FOUND', NOT_FOUND_TEXT);
              }
            });
            return $payload;
          },
        };
      },
    },
  },
};

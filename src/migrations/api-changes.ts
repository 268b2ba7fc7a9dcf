import { type Change, CriticalityLevel, diff } from '@graphql-inspector/core';
import { buildSchema } from 'postgraphile/graphql';
import type { Base } from './base.ts';
import type { Finding, Problem } from './finding.ts';
import { BREAKING_CHANGES, type Project, readIfThere, SCHEMA_GRAPHQL } from './project.ts';

const SHOWN_SAFE = 10;

/** What becomes of the GraphQL API: what breaks clients must be announced to them. */
export async function apiChanges(
  project: Project,
  base: Base | undefined,
  now: string,
): Promise<Finding> {
  const asks = 'changes of the GraphQL API that break clients are announced';
  const then = base?.read(SCHEMA_GRAPHQL);
  if (base === undefined || then === undefined) {
    return { asks, problems: [], notes: ['nothing to compare with: --base REF'] };
  }
  if (then === now) return { asks, problems: [] };
  const changes = await diff(buildSchema(then), buildSchema(now));
  const announced = await announcements(project, base);
  const of = (level: CriticalityLevel) =>
    changes.filter((change) => change.criticality.level === level);
  const breaking = of(CriticalityLevel.Breaking);
  const safe = of(CriticalityLevel.NonBreaking);
  const isAnnounced = (change: Change) => announced.includes(`\`${nameOf(change)}\``);
  return {
    asks,
    problems: breaking
      .filter((change) => !isAnnounced(change))
      .map(
        (change): Problem => ({
          what: `breaking: ${change.message}`,
          why:
            change.criticality.reason ?? `Clients that were written for ${base.name} would fail.`,
          mend: `Keep what clients use and deprecate it; or, when it is meant, add a line to ${BREAKING_CHANGES}: - \`${nameOf(change)}\`: why, and what to use instead`,
        }),
      ),
    notes: [
      ...breaking.filter(isAnnounced).map(({ message }) => `breaking, announced: ${message}`),
      ...of(CriticalityLevel.Dangerous).map(({ message }) => `dangerous: ${message}`),
      ...safe.slice(0, SHOWN_SAFE).map(({ message }) => `safe: ${message}`),
      ...(safe.length > SHOWN_SAFE ? [`safe: ${safe.length - SHOWN_SAFE} more`] : []),
    ],
  };
}

function nameOf({ path, type }: Change): string {
  return path ?? type;
}

/** What this change adds to the announcements: an earlier one allows nothing anew. */
async function announcements(project: Project, base: Base): Promise<string> {
  const then = new Set((base.read(BREAKING_CHANGES) ?? '').split('\n'));
  const now = (await readIfThere(project.breakingChanges)) ?? '';
  return now
    .split('\n')
    .filter((line) => !then.has(line))
    .join('\n');
}

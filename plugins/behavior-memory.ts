import 'postgraphile';

type Matches = (entity: unknown, filter: string) => boolean | undefined;
type BehaviorOf = (entity: unknown) => string;

/**
 * Behaviors decide what of a table is shown. PostGraphile reads the text of each one anew whenever it asks, some
 * hundred thousand times for a schema: half of the time that it takes to make one. The answer depends on
 * the text and the question alone, and there are a few hundred of these.
 */
export const BehaviorMemoryPlugin: GraphileConfig.Plugin = {
  name: 'BursarBehaviorMemoryPlugin',
  description: 'Asks each question about a behavior once',
  version: '1.0.0',
  schema: {
    hooks: {
      build(build) {
        // PostGraphile sets it once the hooks are through.
        let behavior: object | undefined;
        Object.defineProperty(build, 'behavior', {
          enumerable: true,
          get: () => behavior,
          set(original: object) {
            behavior = remembering(original);
          },
        });
        return build;
      },
    },
  },
};

/** `pgCodecMatches` and its like; the rest is as it was. */
function remembering(original: object): object {
  const remembered = new Map<string, Matches>();
  // The original is frozen, and a proxy of something frozen can say nothing else.
  return new Proxy(Object.create(original), {
    get(_, key) {
      const value: unknown = Reflect.get(original, key);
      if (typeof value !== 'function') return value;
      const entityType = /^(.+)Matches$/.exec(String(key))?.[1];
      if (entityType === undefined || entityType === 'string' || entityType === 'entity')
        return value.bind(original);
      const known = remembered.get(entityType);
      if (known !== undefined) return known;
      const behaviorOf: BehaviorOf = Reflect.get(original, `${entityType}Behavior`);
      const matches = once(value.bind(original), behaviorOf.bind(original));
      remembered.set(entityType, matches);
      return matches;
    },
  });
}

function once(matches: Matches, behaviorOf: BehaviorOf): Matches {
  const answers = new Map<string, Map<string, boolean | undefined>>();
  return (entity, filter) => {
    const behavior = behaviorOf(entity);
    const known = answers.get(behavior) ?? new Map<string, boolean | undefined>();
    answers.set(behavior, known);
    if (!known.has(filter)) known.set(filter, matches(entity, filter));
    return known.get(filter);
  };
}

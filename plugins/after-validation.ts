import 'postgraphile/grafserv';

type Middleware = NonNullable<NonNullable<GraphileConfig.Plugin['grafserv']>['middleware']>;
type SetPreset = Extract<NonNullable<Middleware['setPreset']>, (...args: never[]) => unknown>;
type Config = Awaited<ReturnType<Parameters<SetPreset>[1]['getExecutionConfig']>>;
type Validated = ReturnType<Config['parseAndValidate']>;

/** Has `look` change what comes of reading and validating a document, before anything of it is planned. */
export function afterValidation(look: (validated: Validated) => Validated): SetPreset {
  return (next, options) => {
    const getExecutionConfig = options.getExecutionConfig;
    options.getExecutionConfig = async function (context) {
      const config = await getExecutionConfig.call(this, context);
      return { ...config, parseAndValidate: (query) => look(config.parseAndValidate(query)) };
    };
    return next();
  };
}

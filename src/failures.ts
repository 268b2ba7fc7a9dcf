import { ConfigurationError } from './settings.ts';

/** In plain words why a command could not do its work, and what to do about it. */
export function explain(error: unknown): string {
  if (error instanceof ConfigurationError) {
    return ['The configuration has mistakes:', ...error.mistakes.map((m) => `  ${m}`)].join('\n');
  }
  if (!(error instanceof Error)) return String(error);
  const { code, port, address, detail } = error as NodeJS.ErrnoException & {
    port?: number;
    address?: string;
    detail?: string;
  };
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} is taken by another program. Stop that one, or choose another: PORT=5679 npm start`;
    case 'EACCES':
      return port === undefined
        ? error.message
        : `Port ${port} may not be used by this account. Choose one over 1023: PORT=5678 npm start`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `The host ${address ?? (error as { hostname?: string }).hostname} is not known here. Look at HOST and at the database's URL.`;
    case 'ECONNREFUSED':
      return `The database at ${address}:${port} does not answer. Is it running, and is the URL right?`;
    case '28P01':
    case '28000':
      return `The database refused the login: ${error.message}. Look at the name and password in the URL.`;
    case '55P03':
      return 'Another session holds a lock that this needs. Run it again when that one has ended.';
    case '3D000':
      return `${capitalized(error.message)}. Create it first: createdb NAME`;
    case '42501':
      return detail === undefined ? error.message : `${capitalized(error.message)}. ${detail}`;
    default:
      return emptyAggregate(error) ?? error.message;
  }
}

/** A host with several addresses fails with one error for each, and no text of its own. */
function emptyAggregate(error: Error): string | undefined {
  return error instanceof AggregateError && error.message === ''
    ? explain(error.errors[0])
    : undefined;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

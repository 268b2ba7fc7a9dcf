import { readFileSync } from 'node:fs';

export type Environment = Readonly<Record<string, string | undefined>>;

export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(mistakes.join('\n'));
    this.mistakes = mistakes;
  }
}

/** What may stand in a file that `NAME_FILE` names, as secrets of containers do. */
const SECRETS: ReadonlySet<string> = new Set([
  'AUTH_DATABASE_URL',
  'DATABASE_URL',
  'JWT_SECRET',
  'LISTEN_DATABASE_URL',
  'METRICS_TOKEN',
  'ROOT_DATABASE_URL',
  'SHADOW_DATABASE_URL',
]);

/** Whether a setting is given, as itself or as a file. */
export function isGiven(environment: Environment, name: string): boolean {
  return Boolean(
    environment[name]?.trim() || (SECRETS.has(name) && environment[`${name}_FILE`]?.trim()),
  );
}

/** Reads settings one by one and collects what is wrong with them. */
export class SettingsReader {
  readonly mistakes: string[] = [];
  readonly #environment: Environment;
  readonly #files = new Map<string, string | undefined>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  text(name: string): string | undefined {
    const text = this.#environment[name]?.trim() || undefined;
    const file = SECRETS.has(name) ? this.#environment[`${name}_FILE`]?.trim() : undefined;
    if (!file) return text;
    if (!this.#files.has(name)) this.#files.set(name, this.#read(name, file, text));
    return this.#files.get(name);
  }

  isGiven(name: string): boolean {
    return isGiven(this.#environment, name);
  }

  #read(name: string, file: string, beside: string | undefined): string | undefined {
    if (beside !== undefined) {
      this.wrong(`${name} and ${name}_FILE are both set: keep one of them.`);
      return undefined;
    }
    const text = this.contents(`${name}_FILE`, file)?.trim();
    if (text === '') this.wrong(`${name}_FILE names ${file}, which is empty.`);
    return text || undefined;
  }

  /** The text of a file that a setting names. */
  contents(name: string, file: string): string | undefined {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      this.wrong(`${name} names ${file}, which can’t be read (${code}).`);
      return undefined;
    }
  }

  wrong(mistake: string): void {
    this.mistakes.push(mistake);
  }

  wholeNumber(name: string, standard: number, from: number, to: number): number {
    const text = this.text(name);
    if (text === undefined) return standard;
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= from && number <= to) return number;
    this.wrong(`${name} must be a whole number from ${from} to ${to}, not "${text}".`);
    return standard;
  }

  databaseUrl(name: string): string | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol)) return text;
    // The value itself may hold a password.
    this.wrong(`${name} must look like postgres://NAME:PASSWORD@HOST:5432/DATABASE.`);
    return undefined;
  }

  finish<T>(value: T): T {
    if (this.mistakes.length > 0) throw new ConfigurationError(this.mistakes);
    return value;
  }
}

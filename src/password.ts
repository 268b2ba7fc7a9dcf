import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

/** As PostgreSQL makes them (RFC 5802). */
const ITERATIONS = 4096;
const SALT_BYTES = 16;
const SHORTEST = 8;

/**
 * What PostgreSQL keeps of a password. Sent in its place, so that the password itself never reaches a log of
 * the server or the view of running statements.
 */
export function verifierOf(password: string): string {
  const salt = randomBytes(SALT_BYTES);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest();
  const keys = `${storedKey.toString('base64')}:${hmac(salted, 'Server Key').toString('base64')}`;
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${keys}`;
}

export function generatePassword(): string {
  return randomBytes(24).toString('base64url');
}

/**
 * Asks whoever sits at the terminal, twice and without an echo; nothing is their wish to have one generated.
 * Without a terminal the first line of standard input counts.
 */
export async function askForPassword(name: string): Promise<string | undefined> {
  if (!process.stdin.isTTY) {
    for await (const line of createInterface({ input: process.stdin })) return required(line);
    // A store of secrets that fails must not have a password made, and shown in somebody's log.
    throw new Error('No password was given on standard input.');
  }
  // One for both questions: what was pasted in one go would be lost between two.
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  const lines = terminal[Symbol.asyncIterator]();
  const ask = async (question: string) => {
    process.stderr.write(question);
    const { value, done } = await lines.next();
    process.stderr.write('\n');
    if (done) throw new Error('No password was given.');
    return value;
  };
  try {
    const first = await ask(`Password for ${name} (leave it empty to have one made): `);
    if (first === '') return undefined;
    const password = required(first);
    if ((await ask('And again: ')) !== password) throw new Error('The two passwords differ.');
    return password;
  } finally {
    terminal.close();
  }
}

/** Other characters are sent in another form by some clients than by others. */
function required(password: string): string {
  if (password.length < SHORTEST) {
    throw new Error(`A password has ${SHORTEST} characters or more, not ${password.length}.`);
  }
  if (!/^[\x20-\x7e]+$/.test(password)) {
    throw new Error(
      'A password has printable ASCII characters only: every client sends them alike.',
    );
  }
  return password;
}

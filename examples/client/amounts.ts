/**
 * Amounts are strings, because JSON's numbers are doubles: `BigInt` fields are whole micros, `BigFloat` fields have up to
 * six decimals and may or may not write zeros at the end. This adds, compares and shows them without losing a digit.
 */

/** An amount in millionths of a micro: exact, and fit for +, - and <. */
export function exact(amount: string): bigint {
  const [, sign, whole, decimals = ''] = /^(-?)(\d+)(?:\.(\d{1,6}))?$/.exec(amount) ?? [];
  if (whole === undefined) throw new Error(`${amount} is no amount.`);
  return BigInt(`${sign}${whole}${decimals.padEnd(6, '0')}`);
}

/** What `exact` made, as an amount again: micros with the decimals that they have. */
export function micros(exactly: bigint): string {
  const digits = String(exactly < 0n ? -exactly : exactly).padStart(7, '0');
  const decimals = digits.slice(-6).replace(/0+$/, '');
  return `${exactly < 0n ? '-' : ''}${digits.slice(0, -6)}${decimals && `.${decimals}`}`;
}

/** For people: dollars and cents, cut to the cent, and only here. */
export function dollars(amount: string): string {
  const cents = exact(amount) / 10_000_000_000n;
  const digits = String(cents < 0n ? -cents : cents).padStart(3, '0');
  return `${cents < 0n ? '-' : ''}$${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

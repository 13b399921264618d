import { ResidualError } from '../errors.js';

/** From the least to the most; each includes those before it. */
export const ROLES = ['VIEWER', 'PREDICTOR', 'TRAINER', 'ADMIN'] as const;
export type Role = (typeof ROLES)[number];

export function includesRole(held: Role, needed: Role): boolean {
  return ROLES.indexOf(held) >= ROLES.indexOf(needed);
}

/** @throws FORBIDDEN, naming the role that is needed */
export function requireRole(held: Role, needed: Role): void {
  if (!includesRole(held, needed))
    throw new ResidualError('FORBIDDEN', `this needs a key of role ${needed}; this key's role is ${held}`);
}

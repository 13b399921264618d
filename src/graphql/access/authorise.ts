import { Authorized, type AuthChecker } from 'type-graphql';
import { requireRole, type Role } from '../../access/roles.js';
import type { Context } from '../context.js';

/** Guards a root field: the caller's key must have this role or one above it. */
export const Requires = (role: Role) => Authorized<Role>(role);

/** Run before the field; it either passes or throws UNAUTHENTICATED or FORBIDDEN. */
export const checkRole: AuthChecker<Context, Role> = async ({ context }, [role]) => {
  const caller = await context.authenticate();
  if (role !== undefined) requireRole(caller.role, role);
  return true;
};

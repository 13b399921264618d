import { Arg, Ctx, ID, Mutation, Query, Resolver } from 'type-graphql';
import { createApiKey, listApiKeys, revokeApiKey } from '../../access/api-keys.js';
import type { Role } from '../../access/roles.js';
import type { Context } from '../context.js';
import { DateTime } from '../scalars.js';
import { ApiKeyType, CreatedApiKey, RoleEnum } from './api-key.type.js';
import { Requires } from './authorise.js';

@Resolver(() => ApiKeyType)
export class ApiKeyResolver {
  @Requires('ADMIN')
  @Query(() => [ApiKeyType])
  async apiKeys(@Ctx() { services }: Context): Promise<ApiKeyType[]> {
    return listApiKeys(services);
  }

  @Requires('ADMIN')
  @Mutation(() => CreatedApiKey)
  async createApiKey(
    @Ctx() { services }: Context,
    @Arg('name', () => String) name: string,
    @Arg('role', () => RoleEnum) role: Role,
    @Arg('expiresAt', () => DateTime, { nullable: true }) expiresAt?: Date,
  ): Promise<CreatedApiKey> {
    return createApiKey(services, { name, role, expiresAt: expiresAt ?? null });
  }

  @Requires('ADMIN')
  @Mutation(() => Boolean)
  async revokeApiKey(@Ctx() { services }: Context, @Arg('id', () => ID) id: string): Promise<boolean> {
    return revokeApiKey(services, id);
  }
}

import { Field, ID, ObjectType } from 'type-graphql';
import { ROLES, type Role } from '../../access/roles.js';
import { DateTime } from '../scalars.js';
import { schemaEnum } from '../schema-enum.js';

export const RoleEnum = schemaEnum('Role', ROLES);

@ObjectType('ApiKey')
export class ApiKeyType {
  @Field(() => ID) id!: string;
  @Field(() => String) name!: string;
  @Field(() => RoleEnum) role!: Role;
  @Field(() => DateTime) createdAt!: Date;
  @Field(() => DateTime, { nullable: true, description: 'To the minute.' }) lastUsedAt!: Date | null;
  @Field(() => DateTime, { nullable: true }) expiresAt!: Date | null;
}

@ObjectType()
export class CreatedApiKey {
  @Field(() => ApiKeyType) key!: ApiKeyType;
  @Field(() => String, { description: 'Shown this once; only its hash is stored.' }) secret!: string;
}

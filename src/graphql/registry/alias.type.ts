import { Field, ObjectType } from 'type-graphql';
import { DateTime } from '../scalars.js';
import { ModelVersionType } from './version.type.js';

@ObjectType('ModelAlias', { description: "A name for one of a model's versions." })
export class ModelAliasType {
  @Field(() => String) name!: string;
  @Field(() => ModelVersionType) version!: ModelVersionType;
  @Field(() => DateTime, { description: 'When it was last set.' }) updatedAt!: Date;
}

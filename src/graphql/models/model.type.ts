import { Field, ID, Int, ObjectType } from 'type-graphql';
import { connectionType } from '../connection.js';
import { DateTime } from '../scalars.js';

@ObjectType('ImageShape')
export class ImageShapeType {
  @Field(() => Int) height!: number;
  @Field(() => Int) width!: number;
  @Field(() => Int, { description: '1 for grey, 3 for RGB.' }) channels!: number;
}

@ObjectType('Model')
export class ModelType {
  @Field(() => ID) id!: string;
  @Field(() => String) name!: string;
  @Field(() => String, { nullable: true }) description!: string | null;
  @Field(() => DateTime) createdAt!: Date;
  @Field(() => [String]) classNames!: string[];
}

export const ModelConnection = connectionType('Model', () => ModelType);

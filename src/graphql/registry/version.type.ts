import { Field, ID, Int, ObjectType } from 'type-graphql';
import { connectionType } from '../connection.js';
import { BigIntValue, DateTime } from '../scalars.js';
import { schemaEnum } from '../schema-enum.js';

export const ArtifactKindEnum = schemaEnum('ArtifactKind', ['ONNX', 'ONNX_INT8', 'SAFETENSORS', 'TFJS']);
export type ArtifactKind = keyof typeof ArtifactKindEnum;

@ObjectType('Artifact')
export class ArtifactType {
  @Field(() => ID) id!: string;
  @Field(() => ArtifactKindEnum) kind!: ArtifactKind;
  @Field(() => BigIntValue) bytes!: bigint;
  @Field(() => String) sha256!: string;
}

@ObjectType('ModelVersion')
export class ModelVersionType {
  @Field(() => ID) id!: string;
  @Field(() => Int) version!: number;
  @Field(() => DateTime) createdAt!: Date;
}

export const ModelVersionConnection = connectionType('ModelVersion', () => ModelVersionType);

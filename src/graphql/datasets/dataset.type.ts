import { Field, ID, Int, ObjectType } from 'type-graphql';
import { connectionType } from '../connection.js';
import { BigIntValue, Byte, DateTime, JSONValue } from '../scalars.js';
import { schemaEnum } from '../schema-enum.js';

export const SplitEnum = schemaEnum('Split', ['TRAIN', 'TEST']);
export type Split = keyof typeof SplitEnum;
export const DatasetFormatEnum = schemaEnum('DatasetFormat', [
  'IDX',
  'CIFAR10_BINARY',
  'CIFAR100_BINARY',
  'IMAGE_FOLDER',
]);
export type DatasetFormat = keyof typeof DatasetFormatEnum;
export const DatasetStatusEnum = schemaEnum('DatasetStatus', ['AWAITING_UPLOAD', 'VALIDATING', 'READY', 'INVALID']);
export type DatasetStatus = keyof typeof DatasetStatusEnum;

@ObjectType('Dataset')
export class DatasetType {
  @Field(() => ID) id!: string;
  @Field(() => String) name!: string;
  @Field(() => Int) version!: number;
  @Field(() => DatasetFormatEnum) format!: DatasetFormat;
  @Field(() => DatasetStatusEnum) status!: DatasetStatus;
  @Field(() => String, { nullable: true }) description!: string | null;
  @Field(() => [String], { description: 'Why it is INVALID: file, record, what was wrong.' }) problems!: string[];
  @Field(() => String, { nullable: true, description: 'Of the decoded images and labels, once READY.' })
  sha256!: string | null;
  @Field(() => BigIntValue, { nullable: true, description: 'Of the decoded images and labels, once READY.' })
  bytes!: bigint | null;
  @Field(() => [String]) classNames!: string[];
  @Field(() => DateTime) createdAt!: Date;
}

@ObjectType('Sample')
export class SampleType {
  @Field(() => Int) index!: number;
  @Field(() => Int) label!: number;
  @Field(() => String) className!: string;
  @Field(() => Byte) png!: Uint8Array;
}

@ObjectType('UploadTarget')
export class UploadTargetType {
  @Field(() => String) file!: string;
  @Field(() => String) method!: string;
  @Field(() => String, { description: 'Presigned: takes the file without a key until it expires.' }) url!: string;
  @Field(() => JSONValue, { description: 'Headers to send with the file.' }) headers!: Record<string, string>;
  @Field(() => DateTime) expiresAt!: Date;
}

@ObjectType('DatasetUpload')
export class DatasetUploadType {
  @Field(() => DatasetType) dataset!: DatasetType;
  @Field(() => [UploadTargetType]) uploads!: UploadTargetType[];
}

export const DatasetConnection = connectionType('Dataset', () => DatasetType);

import { Field, InputType } from 'type-graphql';
import { DatasetFormatEnum, type DatasetFormat } from './dataset.type.js';

@InputType()
export class CreateDatasetInput {
  @Field(() => String, { description: 'An existing name gives its next version.' }) name!: string;
  @Field(() => DatasetFormatEnum, { description: 'IMAGE_FOLDER: one .zip or .tar(.gz) of split/class/file.' })
  format!: DatasetFormat;
  @Field(() => [String], { nullable: true, description: 'By label, where the format does not say.' })
  classNames?: string[];
  @Field(() => String, { nullable: true }) description?: string;
}

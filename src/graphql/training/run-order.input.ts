import { Field, InputType } from 'type-graphql';
import { RUN_ORDER_FIELDS, type RunOrderField } from '../../runs/order-runs.js';
import { schemaEnum } from '../schema-enum.js';

export const RunOrderFieldEnum = schemaEnum('RunOrderField', [...RUN_ORDER_FIELDS]);
export const OrderDirectionEnum = schemaEnum('OrderDirection', ['ASC', 'DESC']);

@InputType({ description: 'Runs that do not have it yet come last, whichever the direction.' })
export class RunOrder {
  @Field(() => RunOrderFieldEnum, { description: 'ACCURACY and LOSS are those of the evaluation.' })
  field!: RunOrderField;
  @Field(() => OrderDirectionEnum, { defaultValue: 'DESC' }) direction!: keyof typeof OrderDirectionEnum;
}

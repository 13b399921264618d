import {
  astFromValue,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
  print,
} from 'graphql';

/** Of each input type its fields, as a form needs them: so a field that the schema gets, the form has. */
export function plugin(schema) {
  const types = Object.values(schema.getTypeMap()).filter((type) => isInputObjectType(type));
  const inputs = Object.fromEntries(types.map((type) => [type.name, Object.values(type.getFields()).map(describe)]));
  return `import type { InputField } from '../parts/input-entries';

export const INPUT_FIELDS = ${JSON.stringify(inputs, null, 2)} as const satisfies Record<string, readonly InputField[]>;
`;
}

function describe(field) {
  const bare = isNonNullType(field.type) ? field.type.ofType : field.type;
  const isList = isListType(bare);
  const type = isList ? innermost(bare.ofType) : bare;
  return {
    name: field.name,
    type: type.name,
    isList,
    isRequired: isRequiredInputField(field),
    ...(field.description && { description: field.description }),
    ...(field.defaultValue !== undefined && { default: valueOf(field) }),
    ...(isEnumType(type) && { values: type.getValues().map(({ name }) => name) }),
    ...(isInputObjectType(type) && { isInput: true }),
  };
}

const innermost = (type) => (isNonNullType(type) ? type.ofType : type);

/** As one writes it into a field. */
function valueOf({ defaultValue, type }) {
  return print(astFromValue(defaultValue, type)).replaceAll('"', '');
}

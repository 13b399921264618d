import { registerEnumType } from 'type-graphql';

/** An enum of the schema whose members are written alike in the domain, in the database and in GraphQL. */
export function schemaEnum<T extends string>(name: string, members: readonly T[]): { readonly [member in T]: member } {
  const values = Object.fromEntries(members.map((member) => [member, member])) as { [member in T]: member };
  registerEnumType(values, { name });
  return values;
}

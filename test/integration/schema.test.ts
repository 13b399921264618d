import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import {
  parse,
  print,
  type EnumTypeDefinitionNode,
  type FieldDefinitionNode,
  type InputValueDefinitionNode,
  type TypeDefinitionNode,
} from 'graphql';
import { describe, expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');
const CONTRACT = path.resolve(ROOT, '../shared/api.graphql');
const EMIT = path.join(ROOT, 'dist/src/graphql/emit-schema.js');
const committed = readFileSync(path.join(ROOT, 'schema.graphql'), 'utf8');

test('the committed schema is what the code emits', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [EMIT]);
  expect(committed, 'run `npm run schema`').toBe(stdout);
});

/** What the contract has and other issues bring: a field here is absent from the schema until it works. */
const LATER: string[] = [];

describe.skipIf(!existsSync(CONTRACT))('the contract, ../shared/api.graphql', () => {
  const contract = existsSync(CONTRACT) ? coordinates(readFileSync(CONTRACT, 'utf8')) : new Map<string, string>();
  const schema = coordinates(committed);

  test('says the same type of every type, field and argument that the schema has too', () => {
    const shared = [...schema].filter(([coordinate]) => contract.has(coordinate));
    expect(shared.length).toBeGreaterThan(200);
    expect(Object.fromEntries(shared)).toEqual(Object.fromEntries(shared.map(([name]) => [name, contract.get(name)])));
  });

  test('has nothing that the schema lacks but what other issues bring', () => {
    const isInside = (coordinate: string) => LATER.some((later) => new RegExp(`^${escape(later)}([.(]|$)`).test(coordinate));
    const missing = [...contract.keys()].filter((coordinate) => !schema.has(coordinate));
    expect(missing.filter((coordinate) => !isInside(coordinate))).toEqual([]);
    expect(LATER.filter((later) => schema.has(later))).toEqual([]);
  });

  test('lets a client leave out every argument that it does not know of', () => {
    const added = [...schema].filter(([coordinate]) => !contract.has(coordinate) && isInput(coordinate, schema));
    const known = added.filter(([coordinate]) => contract.has(coordinate.replace(/\(\w+\)$|\.\w+$/, '')));
    expect(known.filter(([, type]) => type.endsWith('!'))).toEqual([]);
  });
});

const escape = (text: string) => text.replace(/[.()]/g, '\\$&');

function isInput(coordinate: string, schema: ReadonlyMap<string, string>): boolean {
  return coordinate.endsWith(')') || schema.get(coordinate.split('.')[0]!) === 'input';
}

/** `Type`, `Type.field` and `Type.field(argument)`, each with its type and default as text. */
function coordinates(sdl: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const type of parse(sdl).definitions as TypeDefinitionNode[]) {
    const name = type.name.value;
    found.set(name, KINDS[type.kind]);
    if (type.kind === 'EnumTypeDefinition') for (const value of membersOf(type)) found.set(`${name}.${value}`, 'value');
    if (type.kind === 'InputObjectTypeDefinition')
      for (const field of type.fields ?? []) found.set(`${name}.${field.name.value}`, typeOf(field));
    if (type.kind === 'ObjectTypeDefinition')
      for (const field of type.fields ?? []) {
        found.set(`${name}.${field.name.value}`, typeOf(field));
        for (const argument of field.arguments ?? [])
          found.set(`${name}.${field.name.value}(${argument.name.value})`, typeOf(argument));
      }
  }
  return found;
}

const KINDS: Record<TypeDefinitionNode['kind'], string> = {
  EnumTypeDefinition: 'enum',
  InputObjectTypeDefinition: 'input',
  InterfaceTypeDefinition: 'interface',
  ObjectTypeDefinition: 'type',
  ScalarTypeDefinition: 'scalar',
  UnionTypeDefinition: 'union',
};

const membersOf = (type: EnumTypeDefinitionNode) => (type.values ?? []).map(({ name }) => name.value);

function typeOf(node: FieldDefinitionNode | InputValueDefinitionNode): string {
  const standard = 'defaultValue' in node && node.defaultValue ? ` = ${print(node.defaultValue)}` : '';
  return print(node.type) + standard;
}

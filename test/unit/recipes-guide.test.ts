import { readFileSync } from 'node:fs';
import path from 'node:path';
import { buildSchema, parse, validate } from 'graphql';
import { describe, expect, test } from 'vitest';
import { recipeIn } from '../../bench/recipe.js';

const read = (file: string) => readFileSync(path.resolve(import.meta.dirname, '../..', file), 'utf8');
const guide = read('docs/recipes.md');
const names = [...guide.matchAll(/^## (\S+)$/gm)].map(([, name]) => name!);

describe('docs/recipes.md', () => {
  const schema = buildSchema(read('schema.graphql'));

  test('has what twelve minutes buy, what forty-five do, and the notebook', () => {
    expect(names).toEqual(['twelve-minutes', 'forty-five-minutes', 'notebook']);
  });

  test.each(names)('the operations of %s are valid as they stand', (name) => {
    const { defineModel, startTraining } = recipeIn(guide, name);
    for (const operation of [defineModel, startTraining]) expect(validate(schema, parse(operation))).toEqual([]);
  });

  test('a name that it does not have is refused with those it has', () => {
    expect(() => recipeIn(guide, 'nothing')).toThrow(`NAME is one of ${names.join(', ')}, not nothing`);
  });
});

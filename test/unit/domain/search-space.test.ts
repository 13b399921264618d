import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Kind, parse, print } from 'graphql';
import { describe, expect, it } from 'vitest';
import { TRAINING_ENUMS, TRAINING_FIELDS, assign, canonical, normaliseParameters } from '../../../src/domain/search-space.js';
import { describe as describeTrial } from '../../../src/domain/search-space.js';
import { ResidualError } from '../../../src/errors.js';

const schema = parse(readFileSync(path.resolve(import.meta.dirname, '../../../schema.graphql'), 'utf8'));

/** `field: message` of the refusal. */
function refusal(...parameters: { path: string; [option: string]: unknown }[]): string {
  try {
    normaliseParameters(parameters, 'input.parameters');
  } catch (error) {
    if (error instanceof ResidualError) return `${error.code} ${error.field}: ${error.message}`;
    throw error;
  }
  throw new Error('was accepted');
}
const accepted = (parameter: { path: string; [option: string]: unknown }) => normaliseParameters([parameter], 'p')[0];

describe('the fields that a sweep may vary', () => {
  it('are those of StartTrainingInput in schema.graphql, with their types', () => {
    const inputs = schema.definitions.filter((type) => type.kind === Kind.INPUT_OBJECT_TYPE_DEFINITION);
    for (const [name, fields] of Object.entries(TRAINING_FIELDS)) {
      const type = inputs.find((input) => input.name.value === name);
      expect(fields, name).toEqual(Object.fromEntries(type?.fields?.map((field) => [field.name.value, print(field.type)]) ?? []));
    }
    for (const [name, members] of Object.entries(TRAINING_ENUMS)) {
      const type = schema.definitions.find((definition) => definition.kind === Kind.ENUM_TYPE_DEFINITION && definition.name.value === name);
      const values = type?.kind === Kind.ENUM_TYPE_DEFINITION ? type.values?.map((value) => value.name.value) : undefined;
      expect(values?.toSorted(), name).toEqual(members.toSorted());
    }
    const named = Object.values(TRAINING_FIELDS).flatMap((fields) => Object.values(fields).map((type) => type.replace(/[[\]!]/g, '')));
    for (const name of named)
      expect(['String', 'Int', 'Float', 'Boolean', ...Object.keys(TRAINING_FIELDS), ...Object.keys(TRAINING_ENUMS)]).toContain(name);
  });
});

describe('normaliseParameters', () => {
  it.each([
    [{ path: 'optimizer.learningRate', values: [0.1, 1] }],
    [{ path: 'batchSize', values: [16, 32] }],
    [{ path: 'augmentation.horizontalFlip', values: [true, false] }],
    [{ path: 'optimizer.kind', values: ['SGD', 'ADAMW'] }],
    [{ path: 'schedule.milestones', values: [[3, 6], [4, 8]] }],
    [{ path: 'optimizer', values: [{ kind: 'SGD', learningRate: 0.1 }, { kind: 'ADAM', learningRate: 0.001, clipNorm: null }] }],
    [{ path: 'model', values: ['small', 'large'] }],
    [{ path: 'tags', values: [['a'], []] }],
  ])('takes %j as it is', (parameter) => {
    expect(accepted(parameter)).toEqual(parameter);
  });

  it('takes the whole numbers within a range for a field that takes whole numbers', () => {
    expect(accepted({ path: 'batchSize', min: 15.5, max: 64.9, log: true }))
      .toEqual({ path: 'batchSize', min: 16, max: 64, log: true, whole: true });
    expect(accepted({ path: 'labelSmoothing', min: 0, max: 0.2 }))
      .toEqual({ path: 'labelSmoothing', min: 0, max: 0.2, log: false, whole: false });
  });

  it.each([
    ['optimizer.lr', 'there is no field "lr" in optimizer, which has kind, learningRate,'],
    ['optimiser.learningRate', 'there is no field "optimiser" in StartTrainingInput, which has model,'],
    ['epochs.first', 'epochs has no fields of its own, so there is no epochs.first'],
    ['', 'there is no field ""'],
    ['optimizer.', 'there is no field ""'],
    ['__proto__', 'there is no field "__proto__"'],
    ['optimizer.constructor', 'there is no field "constructor"'],
    ['idempotencyKey', 'idempotencyKey cannot be varied'],
  ])('refuses the path %j', (unknown, message) => {
    expect(refusal({ path: 'seed', values: [1] }, { path: unknown, values: [1] })).toContain(`BAD_USER_INPUT input.parameters.1.path: ${message}`);
  });

  it.each([
    ['epochs', 1.5, 'values.1: must be Int!, not 1.5'],
    ['epochs', '3', 'values.1: must be Int!, not "3"'],
    ['seed', 2 ** 31, 'values.1: must be Int!'],
    ['optimizer.learningRate', true, 'values.1: must be Float!, not true'],
    ['augmentation.horizontalFlip', 'yes', 'values.1: must be Boolean, not "yes"'],
    ['optimizer.kind', 'LION', 'values.1: must be one of SGD, ADAM, ADAMW, not "LION"'],
    ['schedule.milestones', [1, 'x'], 'values.1.1: must be Float!, not "x"'],
    ['schedule.milestones', 4, 'values.1: must be [Float!], not 4'],
    ['optimizer', { kind: 'SGD', lr: 1 }, 'values.1: there is no field "lr" in OptimizerInput'],
    ['optimizer', { learningRate: 'x' }, 'values.1.learningRate: must be Float!, not "x"'],
    ['optimizer', { learningRate: null }, 'values.1.learningRate: must be Float!, not null'],
    ['optimizer', 0.1, 'values.1: must be OptimizerInput, not 0.1'],
  ])('refuses for %s the value %j', (field, value, message) => {
    const right = {
      epochs: 1, seed: 1, 'optimizer.learningRate': 1, 'augmentation.horizontalFlip': true, 'optimizer.kind': 'SGD',
      'schedule.milestones': [1], optimizer: {},
    }[field];
    expect(refusal({ path: field, values: [right, value] })).toContain(`input.parameters.0.${message}`);
  });

  it.each([
    [{ path: 'seed', values: [] }, '0.values: there are 1 to 1000 values, not 0'],
    [{ path: 'seed' }, '0.values: give the values of seed, or its min and max'],
    [{ path: 'seed', values: [1], min: 1 }, '0.min: give values or a range'],
    [{ path: 'seed', values: [1], log: true }, '0.log: log belongs to a range'],
    [{ path: 'seed', values: [1, 2, 1] }, '0.values.2: 1 is in the list already'],
    [
      { path: 'optimizer', values: [{ kind: 'SGD', learningRate: 1 }, { learningRate: 1, kind: 'SGD' }] },
      '0.values.1: {"kind":"SGD","learningRate":1} is in the list already',
    ],
    [{ path: 'seed', min: 1 }, '0.max: a range has a min and a max'],
    [{ path: 'seed', max: 1 }, '0.min: a range has a min and a max'],
    [{ path: 'seed', min: 2, max: 2 }, '0.max: must be above the min of 2, not 2'],
    [{ path: 'seed', min: 2.1, max: 2.9 }, '0.max: there must be a whole number'],
    [{ path: 'optimizer.learningRate', min: 0, max: 1, log: true }, '0.min: must be above 0'],
    [{ path: 'optimizer.kind', min: 0, max: 1 }, '0.min: optimizer.kind is OptimizerKind!, which has no range'],
  ])('refuses %j', (parameter, message) => {
    expect(refusal(parameter)).toContain(`input.parameters.${message}`);
  });

  it('refuses to vary a field twice, or an object together with a field inside it', () => {
    const rate = { path: 'optimizer.learningRate', values: [1] };
    expect(refusal(rate, rate)).toContain('1.path: optimizer.learningRate is varied already');
    expect(refusal(rate, { path: 'optimizer', values: [{}] })).toContain('1.path: optimizer.learningRate is varied already');
    expect(refusal()).toContain('input.parameters: a sweep varies 1 to 20 fields, not 0');
  });
});

describe('assign', () => {
  const base = { model: 'm', optimizer: { kind: 'ADAM', learningRate: 1 }, schedule: null };

  it('changes what it is told to and nothing beside it, and leaves the base as it was', () => {
    const before = structuredClone(base);
    expect(assign(base, { 'optimizer.learningRate': 2, 'schedule.gamma': 0.5, batchSize: 8 })).toEqual({
      model: 'm', optimizer: { kind: 'ADAM', learningRate: 2 }, schedule: { gamma: 0.5 }, batchSize: 8,
    });
    expect(base).toEqual(before);
  });

  it('replaces a whole object where that is what is varied', () => {
    expect(assign(base, { optimizer: { kind: 'SGD' } })).toEqual({ ...base, optimizer: { kind: 'SGD' } });
  });
});

it('tells a trial in a line', () => {
  expect(describeTrial({ 'optimizer.learningRate': 0.1, model: 'tiny' })).toBe('optimizer.learningRate 0.1, model "tiny"');
  expect(canonical({ b: 1, a: [{ d: 1, c: 2 }] })).toBe('{"a":[{"c":2,"d":1}],"b":1}');
});

import { GraphQLError, Source, buildSchema, graphqlSync, parse, validate } from 'graphql';
import { describe, expect, test } from 'vitest';
import { faultyField } from '../../../src/graphql/field-path.js';

const schema = buildSchema(`
  enum Kind { A B }
  input Stage { width: Int!  kind: Kind }
  input Input { name: String!  stages: [Stage!]  rate: Float }
  type Query { make(input: Input!, count: Int = 1): Int }
`);

describe('the field of a fault in a document', () => {
  test.each([
    ['{ make(input: { name: "n", rate: NaN }) }', 'input.rate'],
    ['{ make(input: { name: "n", stages: [{ width: 1 }, { width: 2, kind: C }] }) }', 'input.stages.1.kind'],
    ['{ make(input: { name: "n", stages: [{ width: 1 }, {}] }) }', 'input.stages.1.width'],
    ['{ make(input: { rate: 1 }) }', 'input.name'],
    ['{ make(input: { name: "n", other: 1 }) }', 'input.other'],
    ['{ make(input: { name: "n" }, count: 2147483648) }', 'count'],
    ['{ make(input: { name: "n" }, number: 1) }', 'number'],
    ['{ make }', 'input'],
    ['{ made }', 'query'],
    ['query ($n: Int = "x") { make(input: { name: "n" }, count: $n) }', 'n'],
  ])('%s is %s', (document, field) => {
    const [error] = validate(schema, parse(new Source(document)));
    expect(faultyField(error!), error?.message).toBe(field);
  });
});

describe('the field of a fault in a variable', () => {
  const document = 'query ($given: Input!) { make(input: $given) }';
  test.each([
    [{ name: 'n', rate: 'NaN' }, 'input.rate'],
    [{ name: 'n', stages: [{ width: 1 }, { width: 2, kind: 'C' }] }, 'input.stages.1.kind'],
    [{ name: 'n', stages: [{ width: 1 }, {}] }, 'input.stages.1.width'],
    [{ name: 'n', stages: [null] }, 'input.stages.0'],
    [{ rate: 1 }, 'input.name'],
    [{ name: 'n', other: 1 }, 'input.other'],
    [{ name: 7 }, 'input.name'],
    [{ name: [' at "given.rate"; Field "rate" of required type'] }, 'input.name'],
    ['text', 'input'],
    [null, 'input'],
    [undefined, 'input'],
  ])('%j is %s', (given, field) => {
    const { errors } = graphqlSync({ schema, source: document, variableValues: { given } });
    expect(faultyField(errors![0]!), errors?.[0]?.message).toBe(field);
  });

  test('inside an input that is written out has the path to the variable', () => {
    const source = 'query ($w: Int!) { make(input: { name: "n", stages: [{ width: 1 }, { width: $w }] }) }';
    const { errors } = graphqlSync({ schema, source, variableValues: { w: 1.5 } });
    expect(faultyField(errors![0]!)).toBe('input.stages.1.width');
  });
});

test('an error without a document is about the query', () => {
  expect(faultyField(new GraphQLError('no operation'))).toBe('query');
});

import type { ApolloServerPlugin } from '@apollo/server';
import {
  GraphQLError,
  Kind,
  getNamedType,
  isListType,
  isNonNullType,
  type DocumentNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type TypeNode,
} from 'graphql';
import { getComplexity, type ComplexityEstimator } from 'graphql-query-complexity';
import { ResidualError, badInput } from '../errors.js';
import { MAX_STEP_POINTS } from '../runs/read-runs.js';
import { DEFAULT_PAGE_SIZE } from './connection.js';
import { argumentOf, pathTo } from './field-path.js';

/** Fields that one operation may ask for, those of an item counting once for each item that its list is asked for. */
export const MAX_COMPLEXITY = 20_000;
/** What a list counts as where nobody says how many: leading back to itself, it is beyond the limit the third time. */
const ITEMS_OF_UNSIZED_LIST = 40;
export const MAX_DEPTH = 15;
/** Of a document: enough for 10,000 class names written out. Some rules of validation take time by its square. */
export const MAX_TOKENS = 15_000;

export interface Operation {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly definition: OperationDefinitionNode;
  readonly variables: Record<string, unknown>;
}

/** Operations that keep within the limits whatever their variables: Apollo gives the same text the same document. */
const knownGood = new WeakSet<OperationDefinitionNode>();

/**
 * Run once a document is valid and before it is executed.
 * @throws GraphQLError around QUERY_TOO_COMPLEX, or around BAD_USER_INPUT for a NUL character
 */
export function checkLimits(operation: Operation): void {
  try {
    if (!knownGood.has(operation.definition)) checkDocument(operation);
    checkVariables(operation);
  } catch (error) {
    if (!(error instanceof ResidualError)) throw error;
    throw new GraphQLError(error.message, { originalError: error, extensions: { http: { status: 400 } } });
  }
}

export function limitOperations(): ApolloServerPlugin {
  return {
    requestDidStart: async () => ({
      didResolveOperation: async ({ schema, document, operation: definition, request: { variables = {} } }) => {
        if (definition) checkLimits({ schema, document, definition, variables });
      },
    }),
  };
}

function checkDocument(operation: Operation): void {
  checkDepth(operation);
  const complexity = checkComplexity(operation);
  checkText(operation);
  if (complexity !== undefined && !isSizedByVariables(operation.definition)) knownGood.add(operation.definition);
}

/** Whether its complexity may depend on them: on the size of a page, or on a condition of @include or @skip. */
function isSizedByVariables({ variableDefinitions = [] }: OperationDefinitionNode): boolean {
  return variableDefinitions.some(({ type }) => ['Int', 'Boolean'].includes(nameOf(type)));
}

const nameOf = (type: TypeNode): string => (type.kind === Kind.NAMED_TYPE ? type.name.value : nameOf(type.type));

function checkDepth({ document, definition }: Operation): void {
  const depth = depthOf(definition.selectionSet, fragmentDepths(document));
  if (depth > MAX_DEPTH) throw tooComplex(`the query is ${depth} levels deep; at most ${MAX_DEPTH} are allowed`);
}

type FragmentDepths = (name: string) => number;

/** Each fragment is measured once, however often it is spread. Validation has seen to it that none holds itself. */
function fragmentDepths(document: DocumentNode): FragmentDepths {
  const known = new Map<string, number>();
  const sets = new Map(
    document.definitions.flatMap((node) =>
      node.kind === Kind.FRAGMENT_DEFINITION ? [[node.name.value, node.selectionSet] as const] : [],
    ),
  );
  const depth: FragmentDepths = (name) => {
    const set = sets.get(name);
    if (!known.has(name)) known.set(name, set ? depthOf(set, depth) : 0);
    return known.get(name)!;
  };
  return depth;
}

/** Introspection, whose fields begin with two underscores, has a rule of its own in graphql-js. */
function depthOf(set: SelectionSetNode, fragments: FragmentDepths): number {
  const depths = set.selections.map((selection) => {
    if (selection.kind === Kind.FRAGMENT_SPREAD) return fragments(selection.name.value);
    if (selection.kind === Kind.INLINE_FRAGMENT) return depthOf(selection.selectionSet, fragments);
    if (selection.name.value.startsWith('__')) return 0;
    return 1 + (selection.selectionSet ? depthOf(selection.selectionSet, fragments) : 0);
  });
  return Math.max(0, ...depths);
}

/** @returns nothing where the variables do not fit: the execution says so, and where */
function checkComplexity({ schema, document, definition, variables }: Operation): number | undefined {
  const complexity = measure(schema, document, variables, definition.name?.value);
  if (complexity !== undefined && complexity > MAX_COMPLEXITY)
    throw tooComplex(`the query asks for ${complexity} fields or more; at most ${MAX_COMPLEXITY} are allowed`);
  return complexity;
}

function measure(
  schema: GraphQLSchema,
  query: DocumentNode,
  variables: object,
  operationName?: string,
): number | undefined {
  try {
    return getComplexity({
      schema,
      query,
      variables,
      estimators: [estimate],
      maxQueryNodes: MAX_COMPLEXITY,
      ...(operationName && { operationName }),
    });
  } catch (error) {
    if (error instanceof Error && error.message.includes('number of nodes')) return Infinity;
    return undefined;
  }
}

/** One for the field and, for each item that it may give, what is asked of an item. */
const estimate: ComplexityEstimator = ({ type, field, args, childComplexity }) => {
  if (field.name.startsWith('__')) return 0;
  // A size below 0 is refused by its field, and takes nothing off the others.
  return 1 + Math.max(0, itemsOf(type, field, args)) * childComplexity;
};

/** A page's `nodes` and `edges` are what its connection has counted already. */
function itemsOf(type: GraphQLNamedType, field: GraphQLField<unknown, unknown>, args: Record<string, unknown>): number {
  if (isConnection(getNamedType(field.type))) return pageSize(args);
  return isList(field.type) && !isConnection(type) ? listSize(args) : 1;
}

const isConnection = ({ name }: GraphQLNamedType) => name.endsWith('Connection');

function pageSize({ first, last }: Record<string, unknown>): number {
  return Number(first ?? last ?? DEFAULT_PAGE_SIZE);
}

/** No list gives more than a curve has points: one that is asked for more gives none, but says so. */
function listSize({ first, last, maxPoints }: Record<string, unknown>): number {
  const size = Number(maxPoints ?? first ?? last ?? ITEMS_OF_UNSIZED_LIST);
  return size > MAX_STEP_POINTS ? 0 : size;
}

function isList(type: GraphQLOutputType): boolean {
  return isListType(isNonNullType(type) ? type.ofType : type);
}

function checkText({ document }: Operation): void {
  const field = pathTo(document, (node) => node.kind === Kind.STRING && node.value.includes('\0'));
  if (field !== undefined) throw holdsNul(field);
}

function checkVariables({ document, variables }: Operation): void {
  const [variable, ...inside] = pathOfNul(variables, []) ?? [];
  if (variable !== undefined) throw holdsNul([argumentOf(document, variable), ...inside].join('.'));
}

/** PostgreSQL's text cannot hold U+0000. */
const holdsNul = (field: string) => badInput(field, 'text must not hold the character U+0000');

function pathOfNul(value: unknown, path: string[]): string[] | undefined {
  if (typeof value === 'string') return value.includes('\0') ? path : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const found = pathOfNul(inner, [...path, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}

const tooComplex = (message: string) => new ResidualError('QUERY_TOO_COMPLEX', message, 'query');

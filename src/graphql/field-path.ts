import { parse, visit, type ASTNode, type DocumentNode, type GraphQLError } from 'graphql';

/**
 * Which argument a GraphQL validation or coercion error is about, as a dotted path (`input.stages.1.width`); `query`
 * where it is the document itself that is wrong.
 */
export function faultyField(error: GraphQLError): string {
  return variableFault(error) ?? literalFault(error) ?? 'query';
}

/** graphql-js says where in a variable only in its message, after the value, in whose texts quotes are escaped. */
function variableFault(error: GraphQLError): string | undefined {
  const { message } = error;
  const [, variable] = /^Variable "\$(\w+)" (?:got invalid|of required|of non-null)/.exec(message) ?? [];
  if (variable === undefined) return undefined;
  const [, inside = ''] = /^Variable .* at "\w+([^"]*)"; /s.exec(message) ?? [];
  const [, beside] = /; Field "(\w+)" (?:of required type|is not defined by type)/.exec(message) ?? [];
  const path = argumentOf(documentOf(error), variable) + inside.replaceAll(/\[(\d+)\]/g, '.$1');
  return beside === undefined ? path : `${path}.${beside}`;
}

function literalFault(error: GraphQLError): string | undefined {
  const [, missingArgument] = /^Field "\w+" argument "(\w+)" of type/.exec(error.message) ?? [];
  if (missingArgument !== undefined) return missingArgument;
  const position = error.positions?.[0];
  const path = pathTo(documentOf(error), (node) => node.loc?.start === position);
  const [, missing] = /^Field "\w+\.(\w+)" of required type/.exec(error.message) ?? [];
  return path !== undefined && missing !== undefined ? `${path}.${missing}` : path;
}

/** A variable's name is the client's own; the argument that it is given to is the contract's. */
export function argumentOf(document: DocumentNode | undefined, variable: string): string {
  const uses = (node: ASTNode, key: Key) =>
    node.kind === 'Variable' && node.name.value === variable && key !== 'variable';
  return pathTo(document, uses) ?? variable;
}

function documentOf(error: GraphQLError): DocumentNode | undefined {
  try {
    return error.source && parse(error.source, { maxTokens: 100_000 });
  } catch {
    return undefined;
  }
}

type Key = string | number | undefined;

/** The path, from its argument down, of the first node inside an argument that is looked for. */
export function pathTo(
  document: DocumentNode | undefined,
  isIt: (node: ASTNode, key: Key) => boolean,
): string | undefined {
  if (document === undefined) return undefined;
  const path: string[] = [];
  let found: string | undefined;
  visit(document, {
    enter(node, key, parent) {
      const step = stepTo(node, key, parent);
      if (step !== undefined) path.push(step);
      if (found === undefined && path.length > 0 && isIt(node, key)) found = path.join('.');
    },
    leave(node, key, parent) {
      if (stepTo(node, key, parent) !== undefined) path.pop();
    },
  });
  return found;
}

function stepTo(node: ASTNode, key: Key, parent: ASTNode | readonly ASTNode[] | undefined): string | undefined {
  if (node.kind === 'Argument' || node.kind === 'ObjectField') return node.name.value;
  if (node.kind === 'VariableDefinition') return node.variable.name.value;
  const inList = Array.isArray(parent) && (node.kind.endsWith('Value') || node.kind === 'Variable');
  return inList ? String(key) : undefined;
}

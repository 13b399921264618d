import { GraphQLError, GraphQLScalarType, Kind } from 'graphql';
import { GraphQLDateTime, GraphQLJSON } from 'graphql-scalars';
import { decodeBase64 } from '../domain/base64.js';

export const DateTime = GraphQLDateTime;
export const JSONValue = GraphQLJSON;

/** Integers past 2^31 that the API gives out. None is taken in. */
export const BigIntValue = new GraphQLScalarType<bigint, number | string>({
  name: 'BigInt',
  description:
    'A whole number past 2^31, such as bytes and FLOPs: a JSON number up to 2^53 - 1, a string of digits above that.',
  serialize: (value) => {
    const integer = BigInt(value as bigint | number);
    return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer.toString();
  },
});

/** Bytes as base64 (RFC 4648, section 4, padded). */
export const Byte = new GraphQLScalarType<Buffer, string>({
  name: 'Byte',
  description: 'Bytes in base64, RFC 4648 section 4, with padding.',
  serialize: (value) => Buffer.from(value as Uint8Array).toString('base64'),
  parseValue: (value) => parseBytes(value),
  parseLiteral: (node) => parseBytes(node.kind === Kind.STRING ? node.value : undefined),
});

function parseBytes(value: unknown): Buffer {
  const bytes = decodeBase64(value);
  if (bytes === null) throw new GraphQLError('Byte takes a string of base64');
  return bytes;
}

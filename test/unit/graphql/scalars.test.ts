import { parseValue } from 'graphql';
import { describe, expect, test } from 'vitest';
import { BigIntValue, Byte } from '../../../src/graphql/scalars.js';

describe('Byte', () => {
  test.each(['', 'AA==', 'AAE=', 'AAEC', '+/+/'])('takes the base64 "%s" and gives it back', (text) => {
    expect(Byte.serialize(Byte.parseValue(text))).toBe(text);
    expect(Byte.parseLiteral(parseValue(JSON.stringify(text)), {})).toEqual(Buffer.from(text, 'base64'));
  });

  test.each(['A', 'AA', 'AAA', 'AA=', 'A===', '====', 'AA==AAAA', 'A-_A', 'AA A', 'AAE=\n', 'data:,AAA', '\u0141AAA', 'AB==', 7, null, {}])(
    'takes no %j',
    (value) => {
      expect(() => Byte.parseValue(value)).toThrow('base64');
    },
  );

  test('reads thirty million bytes of it', () => {
    const bytes = Buffer.alloc(30_000_000, 7);
    expect((Byte.parseValue(bytes.toString('base64')) as Buffer).equals(bytes)).toBe(true);
  });
});

test('a BigInt is a number as long as JSON holds it exactly, then a string of digits', () => {
  expect(BigIntValue.serialize(2 ** 31)).toBe(2 ** 31);
  expect(BigIntValue.serialize(2n ** 53n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
  expect(BigIntValue.serialize(2n ** 53n)).toBe('9007199254740992');
});

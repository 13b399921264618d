import { describe, expect, it } from 'vitest';
import { parseReference, parseVersion } from '../../../src/domain/reference.js';

const field = 'input.model';

describe('a reference to a model', () => {
  it('means the newest version where it is a bare name or says latest', () => {
    expect(parseReference('cats', field)).toEqual({ model: 'cats', version: 'latest' });
    expect(parseReference('cats:latest', field)).toEqual({ model: 'cats', version: 'latest' });
  });

  it('means the version whose number it gives', () => {
    expect(parseReference('my.cats_2-x:31', field)).toEqual({ model: 'my.cats_2-x', version: 31 });
  });

  it.each([
    '', ':3', 'Cats', '-cats', 'ca ts', 'a'.repeat(64),
    'cats:', 'cats:0', 'cats:-1', 'cats:03', 'cats:1.5', 'cats:1e3', 'cats:newest', 'cats:1:2', 'cats:99999999999',
  ])(
    'is refused on its field where it is %j',
    (text) => {
      expect(() => parseReference(text, field)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field }));
    },
  );

  it('with an alias is refused with what to write instead', () => {
    expect(() => parseReference('cats@production', field)).toThrow(/aliases are not there yet; write name, name:3 or name:latest/);
  });
});

describe('a version', () => {
  it('is a number from 1 on, or latest', () => {
    expect(parseVersion('1', 'ref')).toBe(1);
    expect(parseVersion('latest', 'ref')).toBe('latest');
    expect(() => parseVersion('production', 'ref')).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'ref' }));
  });
});

import { describe, expect, it } from 'vitest';
import { parseReference, parseVersion } from '../../../src/domain/reference.js';

const field = 'input.model';

describe('a reference to a model', () => {
  it('is a bare name, a number, the latest, or an alias', () => {
    expect(parseReference('cats', field)).toEqual({ model: 'cats', version: 'preferred' });
    expect(parseReference('cats:latest', field)).toEqual({ model: 'cats', version: 'latest' });
    expect(parseReference('my.cats@blue_2.x-y', field)).toEqual({ model: 'my.cats', version: { alias: 'blue_2.x-y' } });
  });

  it('means the version whose number it gives', () => {
    expect(parseReference('my.cats_2-x:31', field)).toEqual({ model: 'my.cats_2-x', version: 31 });
  });

  it('means the network in eight bits where #int8 stands behind it', () => {
    expect(parseReference('cats#int8', field)).toEqual({ model: 'cats', version: 'preferred', int8: true });
    expect(parseReference('cats@beta#int8', field)).toEqual({ model: 'cats', version: { alias: 'beta' }, int8: true });
    expect(parseReference('cats:3#int8', field)).toEqual({ model: 'cats', version: 3, int8: true });
  });

  it.each([
    '#int8', 'cats#', 'cats#int4', 'cats#int8#int8', 'cats#int8:3', '', ':3', 'Cats', '-cats', 'ca ts', 'a'.repeat(64),
    'cats:', 'cats:0', 'cats:-1', 'cats:03', 'cats:1.5', 'cats:1e3', 'cats:newest', 'cats:1:2', 'cats:99999999999',
    'cats@', 'cats@latest', 'cats@3', 'cats@Blue', 'cats@a@b', 'cats@a:1', 'cats:1@a', '@a', 'cats@a\n',
  ])(
    'is refused on its field where it is %j',
    (text) => {
      expect(() => parseReference(text, field)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field }));
    },
  );
});

describe('a version', () => {
  it('is a number from 1 on, latest, or an alias', () => {
    expect(parseVersion('1', 'ref')).toBe(1);
    expect(parseVersion('latest', 'ref')).toBe('latest');
    expect(parseVersion('production', 'ref')).toEqual({ alias: 'production' });
    for (const none of ['', '0', '1.5', 'V1', '@production'])
      expect(() => parseVersion(none, 'ref')).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'ref' }));
  });
});

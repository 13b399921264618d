import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { JOBS } from '../../src/jobs.js';

it('every job of the catalogue is handled by exactly one kind of worker', () => {
  const folder = new URL('../../workers/', import.meta.url);
  const sources = readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(new URL(file, folder), 'utf8'));
  const handled = sources.flatMap((source) => [...source.matchAll(/startJobWorker\(\w+, '([\w-]+)'/g)].map(([, name]) => name));
  expect(handled.sort()).toEqual(Object.keys(JOBS).sort());
});

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, ResidualError, isOutage } from '../../src/errors.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const CONTRACT = path.resolve(ROOT, '../shared/api.graphql');

describe('the table of errors', () => {
  const rows = readFileSync(path.join(ROOT, 'docs/errors.md'), 'utf8').matchAll(/^\| `([A-Z_]+)` \| (yes|no) \|/gm);
  const documented = Object.fromEntries([...rows].map(([, code, retry]) => [code, retry === 'yes']));

  test('has the codes of docs/errors.md, and says alike which may be tried again', () => {
    const table = Object.fromEntries(Object.entries(ERROR_CODES).map(([code, { retryable }]) => [code, retryable]));
    expect(documented).toEqual(table);
  });

  test.skipIf(!existsSync(CONTRACT))('has the codes of the contract, ../shared/api.graphql', () => {
    const [, list = ''] = /extensions\.code, one of:\n((?:# {3}.*\n)+)/.exec(readFileSync(CONTRACT, 'utf8')) ?? [];
    const codes = list.match(/[A-Z_]{4,}/g) ?? [];
    expect(codes.toSorted()).toEqual(Object.keys(ERROR_CODES).toSorted());
  });
});

test('an error whose cause is a server that is away is an outage, another is not', () => {
  const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  expect(isOutage(new Error('query failed', { cause: refused }))).toBe(true);
  expect(isOutage(new Error('query failed'))).toBe(false);
});

test('a connection that PostgreSQL ends is an outage, whatever code Prisma gives it', () => {
  const message = 'Database error. Code: `25P03`. Message: `terminating connection due to idle-in-transaction timeout`';
  expect(isOutage(Object.assign(new Error(message), { code: 'P2010' }))).toBe(true);
});

test('a PostgreSQL that is starting is an outage, as Prisma tells of it in an object that is no error', () => {
  const cause = { originalCode: '57P03', kind: 'postgres', message: 'the database system is starting up' };
  const failure = { code: 'P2039', meta: { driverAdapterError: { name: 'DriverAdapterError', cause } } };
  expect(isOutage(Object.assign(new Error('invocation failed'), failure))).toBe(true);
});

test('an error knows whether it may be tried again', () => {
  expect(new ResidualError('RATE_LIMITED', 'later').retryable).toBe(true);
  expect(new ResidualError('CONFLICT', 'never').retryable).toBe(false);
});

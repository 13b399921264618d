import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Unreachable } from '../../../src/cli/client.js';
import { sendFile } from '../../../src/cli/transfer.js';

const CONTENT = randomBytes(5 * 1024 ** 2);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'residual-transfer-'));
  await writeFile(path.join(folder, 'file'), CONTENT);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Sends the file to a store that answers so. */
async function sendTo(answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
  let counted = 0;
  const target = { file: 'file', method: 'PUT', url, headers: {} };
  const sending = sendFile(target, path.join(folder, 'file'), (count) => (counted += count));
  const error: unknown = await sending.catch((thrown: unknown) => thrown);
  return { error, counted };
}

test('a file whose connection breaks, and then finds the store away, is sent again, whole, and counted once', async () => {
  let requests = 0;
  let came: Buffer[] = [];
  const { error, counted } = await sendTo((request, response) => {
    requests++;
    came = [];
    request.on('data', (chunk: Buffer) => {
      came.push(chunk);
      if (requests === 1) request.destroy();
    });
    request.on('end', () => response.writeHead(requests === 2 ? 503 : 200).end());
  });
  expect(error).toBeUndefined();
  expect(requests).toBe(3);
  expect(Buffer.concat(came).equals(CONTENT)).toBe(true);
  expect(counted).toBe(CONTENT.length);
});

test('a file that the store refuses is not sent again', async () => {
  let requests = 0;
  const { error } = await sendTo((request, response) => {
    requests++;
    request.resume().on('end', () => response.writeHead(403).end('<Code>AccessDenied</Code>'));
  });
  expect(error).toMatchObject({ message: 'file was not accepted: 403 <Code>AccessDenied</Code>' });
  expect(requests).toBe(1);
});

test('a store that stays away is given up, and told by its address', async () => {
  let requests = 0;
  const { error } = await sendTo((request) => {
    requests++;
    request.destroy();
  });
  expect(error).toBeInstanceOf(Unreachable);
  expect((error as Error).message).toMatch(/^http:\/\/127\.0\.0\.1:\d+ cannot be reached: /);
  expect(requests).toBe(4);
});

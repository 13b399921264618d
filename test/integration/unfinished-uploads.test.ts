import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import type { ObjectsConfig } from '../../src/config.js';
import { createObjectStore } from '../../src/infra/objects.js';
import { connectS3 } from '../../src/infra/s3-client.js';
import { startObjects } from '../../src/local/objects.js';
import type { ServerProcess } from '../../src/local/server-process.js';
import { bucketClient, keysIn } from '../helpers/buckets.js';

const MIB = 1024 ** 2;
const KEY = 'sha256/aa/unfinished';

let dataDir: string;
let server: ServerProcess;
let config: ObjectsConfig;
beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'residual-uploads-'));
  const started = await startObjects(dataDir);
  server = started;
  const { endpoint, accessKey, secretKey } = started;
  config = { endpoint, publicEndpoint: endpoint, accessKey, secretKey, bucket: 'uploads', region: 'us-east-1' };
  await createObjectStore(config).ensureBucket();
});
afterAll(async () => {
  await server.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const uploadsFolder = () => path.join(dataDir, 'objects', config.bucket, '._S3rver_uploads');
const unfinished = async () => (await readdir(uploadsFolder()).catch(() => [])).sort();

/** An upload of which one part has come. */
async function beginUpload(): Promise<string> {
  const upload = await bucketClient(config).initiateNewMultipartUpload(config.bucket, KEY, {});
  await sendPart(upload, 1);
  return upload;
}

const sendPart = (uploadID: string, partNumber: number) =>
  bucketClient(config).uploadPart(
    { bucketName: config.bucket, objectName: KEY, uploadID, partNumber, headers: { 'Content-Length': MIB } } as never,
    randomBytes(MIB),
  );

/** The way to the server, on which the connection breaks, once, when so many bytes have gone by. */
async function breakingWay(afterBytes: number): Promise<ObjectsConfig> {
  let bytes = 0;
  const { hostname, port } = new URL(config.endpoint);
  const way = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    const close = () => [client, upstream].forEach((socket) => socket.destroy());
    for (const socket of [client, upstream]) socket.on('error', () => undefined).on('close', close);
    upstream.pipe(client);
    client.on('data', (chunk: Buffer) => {
      const before = bytes;
      bytes += chunk.length;
      if (before < afterBytes && bytes >= afterBytes) close();
      else upstream.write(chunk);
    });
  }).listen(0, '127.0.0.1');
  await once(way, 'listening');
  onTestFinished(() => void way.close());
  return { ...config, endpoint: `http://127.0.0.1:${(way.address() as AddressInfo).port}` };
}

it('an upload whose connection breaks leaves no parts, and is stored when it is sent again', async () => {
  const objects = createObjectStore(await breakingWay(20 * MIB));
  const bytes = randomBytes(40 * MIB);
  await expect(objects.putBytes(bytes)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(await unfinished()).toEqual([]);
  const { sha256 } = await objects.putBytes(bytes);
  expect(Buffer.compare(await objects.get(sha256), bytes)).toBe(0);
  expect(await unfinished()).toEqual([]);
});

it('an upload is given up by who may, by its own name, and no other with it', async () => {
  const [one, other] = [await beginUpload(), await beginUpload()];
  const kept = await keysIn(config);
  const giveUp = (upload: string, as = config) => bucketClient(as).abortMultipartUpload(config.bucket, KEY, upload);
  await expect(giveUp(one, { ...config, secretKey: 'not-the-secret' })).rejects.toThrow();
  for (const name of ['..', '.', '', '../../uploads', `../${path.basename(uploadsFolder())}/${one}`, `${one}/1`])
    await expect(giveUp(encodeURIComponent(name))).rejects.toThrow();
  expect(await unfinished()).toEqual([one, other].sort());
  await giveUp(one);
  expect(await unfinished()).toEqual([other]);
  expect(await keysIn(config)).toEqual(kept);
  await giveUp(other);
});

it('parts whose client died go when the next upload begins, once an hour has brought no other part', async () => {
  const [dead, slow] = [await beginUpload(), await beginUpload()];
  const age = async (upload: string, minutes: number) => {
    const lastPartAt = new Date(Date.now() - minutes * 60_000);
    await utimes(path.join(uploadsFolder(), upload), lastPartAt, lastPartAt);
  };
  await age(dead, 61);
  await age(slow, 59);
  const next = await beginUpload();
  expect(await unfinished()).toEqual([slow, next].sort());
});

it('a server that starts has no parts; an upload that lost its own fails, harms nobody, and may be made again', async () => {
  const objects = createObjectStore(config);
  const { sha256 } = await objects.putBytes(Buffer.from('stored before'));
  const upload = await beginUpload();
  process.kill(server.pid, 'SIGKILL');
  await server.ended;
  server = await startObjects(dataDir, Number(new URL(config.endpoint).port));
  expect(await unfinished()).toEqual([]);

  const { etag } = await sendPart(upload, 2);
  const parts = [1, 2].map((part) => ({ etag, part }));
  const client = connectS3(config, config.endpoint);
  await expect(client.completeMultipartUpload(config.bucket, KEY, upload, parts)).rejects.toThrow();
  await client.abortMultipartUpload(config.bucket, KEY, upload);
  expect(await unfinished()).toEqual([]);
  expect((await objects.get(sha256)).toString()).toBe('stored before');
  const whole = randomBytes(20 * MIB);
  const again = await objects.putBytes(whole);
  expect(Buffer.compare(await objects.get(again.sha256), whole)).toBe(0);
});

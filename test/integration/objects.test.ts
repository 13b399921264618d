import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ObjectsConfig } from '../../src/config.js';
import { CorruptObjectError, createObjectStore, type ObjectStore } from '../../src/infra/objects.js';
import { bucketClient, freshBucket, keysIn } from '../helpers/buckets.js';
import { freshName } from '../helpers/databases.js';

let config: ObjectsConfig;
let objects: ObjectStore;
let folder: string;
beforeAll(async () => {
  config = await freshBucket();
  objects = createObjectStore(config);
  folder = await mkdtemp(path.join(tmpdir(), 'residual-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const keyOf = (sha256: string) => `sha256/${sha256.slice(0, 2)}/${sha256}`;
/** Puts other bytes under an object's key, past the store. */
const damage = (sha256: string, bytes: Buffer) => bucketClient(config).putObject(config.bucket, keyOf(sha256), bytes, bytes.length);

it('bytes lie under their hash and come back', async () => {
  for (const bytes of [randomBytes(1_000), new Uint8Array(0), new Uint8Array(randomBytes(100).buffer, 8, 50)]) {
    const object = await objects.putBytes(bytes);
    expect(object).toEqual({ sha256: sha256Of(bytes), bytes: bytes.length });
    expect(await keysIn(config)).toContain(keyOf(object.sha256));
    expect(Buffer.compare(await objects.get(object.sha256), bytes)).toBe(0);
  }
});

it('a file of several parts is stored whole, by three writers at once', async () => {
  const file = path.join(folder, 'large');
  // Equal parts: only their numbers tell them apart.
  const bytes = Buffer.concat([Buffer.alloc(32 * 1024 ** 2), randomBytes(1_000_000)]);
  await writeFile(file, bytes);
  const stored = await Promise.all([objects.putBytes(bytes), objects.putFile(file), objects.putFile(file)]);
  for (const object of stored) expect(object).toEqual({ sha256: sha256Of(bytes), bytes: bytes.length });
  const back = path.join(folder, 'back', 'large');
  await objects.getToFile(sha256Of(bytes), back);
  expect(Buffer.compare(await readFile(back), bytes)).toBe(0);
});

it('what is there already is not sent again', async () => {
  const { sha256 } = await objects.putBytes(Buffer.from('once'));
  const { lastModified } = await bucketClient(config).statObject(config.bucket, keyOf(sha256));
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await objects.putBytes(Buffer.from('once'));
  expect((await bucketClient(config).statObject(config.bucket, keyOf(sha256))).lastModified).toEqual(lastModified);
});

it('an object whose bytes changed is refused, and no file appears', async () => {
  const { sha256 } = await objects.putBytes(Buffer.from('the truth'));
  await damage(sha256, Buffer.from('the lie!!'));
  await expect(objects.get(sha256)).rejects.toThrow(CorruptObjectError);
  const target = path.join(folder, 'corrupt', 'file');
  await expect(objects.getToFile(sha256, target)).rejects.toThrow(CorruptObjectError);
  expect(await readdir(path.dirname(target))).toEqual([]);
});

it('an object that is not there is refused by name', async () => {
  const missing = sha256Of(Buffer.from(freshName('missing')));
  await expect(objects.get(missing)).rejects.toThrow(new CorruptObjectError(`${keyOf(missing)} is not in the store`));
  expect(await objects.has(missing)).toBe(false);
});

it('removing removes, twice as well', async () => {
  const { sha256 } = await objects.putBytes(randomBytes(10));
  expect(await objects.has(sha256)).toBe(true);
  await objects.remove(sha256);
  await objects.remove(sha256);
  expect(await objects.has(sha256)).toBe(false);
});

it('an upload is put by URL, looked at, read, and removed with its prefix', async () => {
  const url = await objects.presignUpload('some-id/a file.bin', 60);
  expect(await objects.statUpload('some-id/a file.bin')).toBeNull();
  expect((await fetch(url, { method: 'PUT', body: 'content' })).status).toBe(200);
  expect(await objects.statUpload('some-id/a file.bin')).toEqual({ bytes: 7 });
  const chunks: Buffer[] = [];
  for await (const chunk of objects.readUpload('some-id/a file.bin')) chunks.push(chunk);
  expect(Buffer.concat(chunks).toString()).toBe('content');
  await fetch(await objects.presignUpload('other-id/b', 60), { method: 'PUT', body: 'b' });
  await objects.removeUploads('some-id/');
  expect((await keysIn(config)).filter((key) => key.startsWith('uploads/'))).toEqual(['uploads/other-id/b']);
});

it('a browser may put an upload from another origin, by its URL alone', async () => {
  const url = await objects.presignUpload('from-a-page/file', 60);
  const origin = 'https://dashboard.example.org';
  const asked = { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'content-type' };
  const allowed = await fetch(url, { method: 'OPTIONS', headers: asked });
  expect(allowed.ok).toBe(true);
  expect(allowed.headers.get('access-control-allow-origin')).toMatch(/^(\*|https:\/\/dashboard\.example\.org)$/);
  expect(allowed.headers.get('access-control-allow-methods')).toContain('PUT');
  expect(allowed.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('content-type');
  const put = (address: string) => fetch(address, { method: 'PUT', body: 'content', headers: { origin } });
  const [stored, unsigned] = [await put(url), await put(url.replace(/\?.*/, ''))];
  expect([stored.status, unsigned.status]).toEqual([200, 403]);
  // Without it the page would not be told that it was refused.
  for (const { headers } of [stored, unsigned]) expect(headers.get('access-control-allow-origin')).toMatch(/^(\*|https:.*)$/);
  expect(await objects.statUpload('from-a-page/file')).toEqual({ bytes: 7 });
});

it('a download URL names the file, and lets nothing else be read', async () => {
  const { sha256 } = await objects.putBytes(Buffer.from('weights'));
  const url = await objects.presignDownload(sha256, 'my "model".onnx', 60);
  const response = await fetch(url);
  expect(await response.text()).toBe('weights');
  expect(response.headers.get('content-disposition')).toBe('attachment; filename="my__model_.onnx"');
  expect((await fetch(url.replace(/\?.*/, ''))).status).toBe(403);
});

it('URLs are for the address that clients use', async () => {
  const outside = createObjectStore({ ...config, publicEndpoint: 'https://objects.example.org:9443' });
  expect(await outside.presignUpload('x', 60)).toMatch(/^https:\/\/objects\.example\.org:9443\//);
  expect(await outside.presignDownload('0'.repeat(64), 'x', 60)).toMatch(/^https:\/\/objects\.example\.org:9443\//);
});

it('the bucket is made once, however many ask', async () => {
  const fresh = createObjectStore({ ...config, bucket: freshName('test-') });
  await expect(fresh.check()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  await Promise.all([1, 2, 3].map(() => fresh.ensureBucket()));
  await fresh.ensureBucket();
  await fresh.check();
});

it('a wrong secret is told as a refusal', async () => {
  const wrong = createObjectStore({ ...config, secretKey: 'not-the-secret' });
  const refusal = { code: 'SERVICE_UNAVAILABLE', message: expect.stringContaining('refuses') };
  await expect(wrong.putBytes(Buffer.from('x'))).rejects.toMatchObject(refusal);
  await expect(wrong.ensureBucket()).rejects.toMatchObject(refusal);
});

it('a server that is away is told at once', async () => {
  const away = createObjectStore({ ...config, endpoint: 'http://127.0.0.1:9' });
  const startedAt = performance.now();
  for (const ask of [
    () => away.check(),
    () => away.get('0'.repeat(64)),
    () => away.putBytes(Buffer.from('x')),
    () => away.statUpload('x'),
    () => away.removeUploads('x'),
  ])
    await expect(ask()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});

it('a server that takes the connection and says nothing fails the check in two seconds', async () => {
  const mute = await new Promise<Server>((resolve) => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1', () => resolve(server));
  });
  const { port } = mute.address() as { port: number };
  const startedAt = performance.now();
  await expect(createObjectStore({ ...config, endpoint: `http://127.0.0.1:${port}` }).check()).rejects.toMatchObject({
    code: 'SERVICE_UNAVAILABLE',
  });
  expect(performance.now() - startedAt).toBeLessThan(3_000);
  mute.close();
});

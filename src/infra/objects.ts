import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import type { Client } from 'minio';
import type { ObjectsConfig } from '../config.js';
import { unavailable } from '../errors.js';
import { ask, connectS3, isNotFound, translate } from './s3-client.js';

/**
 * Objects on an S3 server, in one bucket. What the platform made lies under its SHA-256 and never changes; what a
 * client uploads lies under `uploads/` until it has been looked at.
 */

/** An object is missing, or its bytes do not have the hash that they are stored under. */
export class CorruptObjectError extends Error {
  override readonly name = 'CorruptObjectError';
}

export interface StoredObject {
  /** SHA-256 of the content, hex. */
  readonly sha256: string;
  readonly bytes: number;
}

type Announce = (object: StoredObject) => Promise<void>;

/** As the client lists it. */
interface Listed {
  readonly name: string;
  readonly lastModified: Date;
}

/** Larger files go up in parts of this size, of which S3 takes up to 10,000. */
const PART_BYTES = 16 * 1024 ** 2;
const MAX_PARTS = 10_000;
const CHECK_TIMEOUT_MS = 2_000;
const ABANDONED_MS = 24 * 3_600_000;

export const createObjectStore = (config: ObjectsConfig) => new ObjectStore(config);

/** @throws SERVICE_UNAVAILABLE from every method that talks to a server which does not answer, or refuses. */
export class ObjectStore {
  private readonly client: Client;
  /** Signs for the address that clients use; never talks to a server. */
  private readonly signer: Client;
  private readonly bucket: string;

  constructor(private readonly config: ObjectsConfig) {
    this.bucket = config.bucket;
    this.client = connectS3(config, config.endpoint);
    this.signer = connectS3(config, config.publicEndpoint);
  }

  /** Makes the bucket where there is none; several processes may do so at once. */
  async ensureBucket(): Promise<void> {
    if (await ask(() => this.client.bucketExists(this.bucket))) return;
    try {
      await this.client.makeBucket(this.bucket, this.config.region);
    } catch (error) {
      if (!(await ask(() => this.client.bucketExists(this.bucket)))) throw translate(error);
    }
  }

  /** Answers within two seconds. */
  async check(): Promise<void> {
    const late = AbortSignal.timeout(CHECK_TIMEOUT_MS);
    const given = new Promise<never>((_, reject) =>
      late.addEventListener('abort', () =>
        reject(unavailable(`the object store did not answer in ${CHECK_TIMEOUT_MS} ms`)),
      ),
    );
    const found = await Promise.race([ask(() => this.client.bucketExists(this.bucket)), given]);
    if (!found) throw unavailable(`the object store has no bucket ${this.bucket}`);
  }

  /**
   * Stores bytes under their hash; what is there already is not sent again.
   * @param before is told of the object and waited for before anything is sent
   */
  async putBytes(bytes: Uint8Array, before?: Announce): Promise<StoredObject> {
    const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const object = { sha256: await hashBytes(content), bytes: content.length };
    await before?.(object);
    await this.store(object, async (position, length) => content.subarray(position, position + length));
    return object;
  }

  /** As `putBytes`, with memory for one part of a file, which must not change meanwhile. */
  async putFile(file: string, before?: Announce): Promise<StoredObject> {
    const object = await hashFile(file);
    await before?.(object);
    const handle = await open(file);
    try {
      await this.store(object, (position, length) => readAt(handle, position, length));
    } finally {
      await handle.close();
    }
    return object;
  }

  /**
   * The whole content, its hash checked.
   * @throws CorruptObjectError
   */
  async get(sha256: string): Promise<Buffer> {
    // Into its place as it comes: chunks that are kept until the last is there take as much memory again, for long.
    const whole = Buffer.allocUnsafeSlow((await this.size(keyOf(sha256))) ?? 0);
    let at = 0;
    for await (const chunk of this.verified(sha256)) at += chunk.copy(whole, at);
    return whole;
  }

  /**
   * Writes the content to `file`, which appears only once the hash has been checked.
   * @throws CorruptObjectError
   */
  async getToFile(sha256: string, file: string): Promise<void> {
    await mkdir(path.dirname(file), { recursive: true });
    await removeAbandonedParts(path.dirname(file));
    const part = `${file}.${randomUUID()}.part`;
    try {
      await pipeline(this.verified(sha256), createWriteStream(part, { flags: 'wx' }));
      await rename(part, file);
    } finally {
      await rm(part, { force: true });
    }
  }

  async has(sha256: string): Promise<boolean> {
    return (await this.size(keyOf(sha256))) !== null;
  }

  /** Removing what is not there is no error. */
  async remove(sha256: string): Promise<void> {
    await this.removeKey(keyOf(sha256));
  }

  /** A URL to PUT one upload to. */
  async presignUpload(key: string, expirySeconds: number): Promise<string> {
    return this.signer.presignedPutObject(this.bucket, uploadKey(key), expirySeconds);
  }

  /** A URL to GET an object from, which a browser saves as `fileName`. */
  async presignDownload(sha256: string, fileName: string, expirySeconds: number): Promise<string> {
    return this.signer.presignedGetObject(this.bucket, keyOf(sha256), expirySeconds, {
      'response-content-disposition': `attachment; filename="${fileName.replace(/[^\w.-]/g, '_')}"`,
    });
  }

  /** Size of an upload in bytes, or null where nothing was uploaded. */
  async statUpload(key: string): Promise<{ bytes: number } | null> {
    const bytes = await this.size(uploadKey(key));
    return bytes === null ? null : { bytes };
  }

  /** What a client uploaded, as it comes. */
  readUpload(key: string): AsyncGenerator<Buffer> {
    return this.content(uploadKey(key));
  }

  /** Keys of the uploads that were there before `moment`, by the server's clock. */
  async uploadsBefore(moment: Date): Promise<string[]> {
    const before = (await this.listUploads('')).filter(({ lastModified }) => lastModified < moment);
    return before.map(({ name }) => name.slice(uploadKey('').length));
  }

  /** Removing what is not there is no error. */
  async removeUpload(key: string): Promise<void> {
    await this.removeKey(uploadKey(key));
  }

  /** Removes every upload whose key starts with `prefix`. */
  async removeUploads(prefix: string): Promise<void> {
    for (const { name } of await this.listUploads(prefix)) await this.removeKey(name);
  }

  private async listUploads(prefix: string): Promise<Listed[]> {
    return ask(async () => {
      const listed: Listed[] = [];
      for await (const object of this.client.listObjectsV2(this.bucket, uploadKey(prefix), true))
        listed.push(object as Listed);
      return listed;
    });
  }

  private async store(object: StoredObject, read: ReadAt): Promise<void> {
    const key = keyOf(object.sha256);
    if ((await this.size(key)) === object.bytes) return;
    if (object.bytes > PART_BYTES) return this.putParts(key, object.bytes, read);
    const content = await read(0, object.bytes);
    await ask(() => this.client.putObject(this.bucket, key, content, content.length));
  }

  private async size(key: string): Promise<number | null> {
    return ask(async () => {
      try {
        return (await this.client.statObject(this.bucket, key)).size;
      } catch (error) {
        if (isNotFound(error)) return null;
        throw error;
      }
    });
  }

  private async removeKey(key: string): Promise<void> {
    await ask(() => this.client.removeObject(this.bucket, key));
  }

  private async *verified(sha256: string): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for await (const chunk of this.content(keyOf(sha256))) {
      hash.update(chunk);
      yield chunk;
    }
    const found = hash.digest('hex');
    if (found !== sha256) throw new CorruptObjectError(`object ${sha256} has content with the hash ${found}`);
  }

  private async *content(key: string): AsyncGenerator<Buffer> {
    try {
      yield* (await this.client.getObject(this.bucket, key)) as AsyncIterable<Buffer>;
    } catch (error) {
      if (isNotFound(error)) throw new CorruptObjectError(`${key} is not in the store`, { cause: error });
      throw translate(error);
    }
  }

  /**
   * The client's own multipart upload goes on with any unfinished upload of the same key, which another process may be
   * making this very moment; hence one of our own for each call.
   */
  private async putParts(key: string, bytes: number, read: ReadAt): Promise<void> {
    const partBytes = Math.max(PART_BYTES, Math.ceil(bytes / MAX_PARTS));
    const upload = await ask(() => this.client.initiateNewMultipartUpload(this.bucket, key, {}));
    try {
      const parts: { etag: string; part: number }[] = [];
      for (let part = 1; (part - 1) * partBytes < bytes; part++) {
        const content = await read((part - 1) * partBytes, partBytes);
        const headers = { 'Content-Length': content.length };
        const at = { bucketName: this.bucket, objectName: key, uploadID: upload, partNumber: part, headers };
        parts.push(await ask(() => this.client.uploadPart(at as unknown as UploadPart, content)));
      }
      await ask(() => this.client.completeMultipartUpload(this.bucket, key, upload, parts));
    } catch (error) {
      await this.client.abortMultipartUpload(this.bucket, key, upload).catch(() => undefined);
      throw error;
    }
  }
}

/** Up to `length` bytes from `position` on; fewer only at the end. */
type ReadAt = (position: number, length: number) => Promise<Buffer>;
type UploadPart = Parameters<Client['uploadPart']>[0];

/** Downloads whose process was killed leave their part; one that goes on is written to all the time. */
async function removeAbandonedParts(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!/\.[0-9a-f-]{36}\.part$/.test(name)) continue;
    const part = path.join(folder, name);
    const found = await stat(part).catch(() => null);
    if (found && Date.now() - found.mtimeMs > ABANDONED_MS) await rm(part, { force: true });
  }
}

/** Part by part: gigabytes at once would keep a worker's event loop from its heartbeat for seconds. */
async function hashBytes(content: Buffer): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < content.length; at += PART_BYTES) {
    if (at > 0) await turn();
    hash.update(content.subarray(at, at + PART_BYTES));
  }
  return hash.digest('hex');
}

/** Two letters first: some servers keep a folder for each prefix. */
const keyOf = (sha256: string) => `sha256/${sha256.slice(0, 2)}/${sha256}`;
const uploadKey = (key: string) => `uploads/${key}`;

async function hashFile(file: string): Promise<StoredObject> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 ** 2 })) hash.update(chunk as Buffer);
  return { sha256: hash.digest('hex'), bytes: (await stat(file)).size };
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const content = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(content, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return content.subarray(0, filled);
}

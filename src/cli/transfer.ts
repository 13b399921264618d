import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as sleep } from 'node:timers/promises';
import { Unreachable } from './client.js';

/** Files to and from the object store, by the presigned addresses that the API gives. */

export interface UploadTarget {
  readonly file: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
}

export interface Artifact {
  readonly kind: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly downloadUrl: string;
}

const SENDINGS = 4;
const AGAIN_AFTER_MS = 500;

/**
 * Where the connection breaks or the store is away, the file is sent again, whole, as a PUT may be, up to three times.
 * @param onBytes is told how many more bytes have been sent, less than none where they are sent again
 * @throws Unreachable; Error where the store refuses it
 */
export async function sendFile(target: UploadTarget, file: string, onBytes: (count: number) => void): Promise<void> {
  for (let sending = 1; ; sending++) {
    let [sent, over] = [0, false];
    try {
      return await put(target, file, (count) => {
        // fetch may have asked for a piece more than it could send.
        if (over) return;
        sent += count;
        onBytes(count);
      });
    } catch (error) {
      over = true;
      if (sending === SENDINGS || !(error instanceof Unreachable)) throw error;
    }
    onBytes(-sent);
    await sleep(AGAIN_AFTER_MS * 2 ** (sending - 1));
  }
}

async function put(target: UploadTarget, file: string, onBytes: (count: number) => void): Promise<void> {
  const { size } = await stat(file);
  const response = await ask(target.url, {
    method: target.method,
    // A store takes no upload whose length it is not told first.
    headers: { ...target.headers, 'content-length': String(size) },
    body: counted(createReadStream(file), onBytes),
    duplex: 'half',
  });
  if (response.status >= 500) throw new Unreachable(new URL(target.url).origin, `status ${response.status}`);
  if (!response.ok) throw new Error(`${target.file} was not accepted: ${response.status} ${await response.text()}`);
}

/** Writes the artifact to `file`, which is there only once it is whole and what the API said. @throws Unreachable */
export async function receiveFile(artifact: Artifact, file: string, onBytes: (count: number) => void): Promise<void> {
  const response = await ask(artifact.downloadUrl);
  if (!response.ok || response.body === null) throw new Error(`the object store answered ${response.status}`);
  const hash = createHash('sha256');
  const unfinished = `${file}.part`;
  const received = counted(Readable.fromWeb(response.body as ReadableStream<Uint8Array>), (count, chunk) => {
    hash.update(chunk);
    onBytes(count);
  });
  try {
    await pipeline(received, createWriteStream(unfinished));
    const sha256 = hash.digest('hex');
    if (sha256 !== artifact.sha256)
      throw new Error(`what came has the SHA-256 ${sha256}, not ${artifact.sha256}; nothing was written`);
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function ask(url: string, init?: RequestInit): Promise<Response> {
  return fetch(url, init).catch((error: unknown) => Promise.reject(new Unreachable(new URL(url).origin, error)));
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  onBytes: (count: number, chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    onBytes(chunk.length, chunk);
    yield chunk;
  }
}

import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ClientConfig } from '../config.js';
import { UsageError } from './usage-error.js';

/** Where the API is and the key to it. */
export interface Credentials {
  readonly url: string;
  readonly key: string;
}

export const DEFAULT_URL = 'http://127.0.0.1:4000/graphql';

const fileIn = (configFolder: string) => path.join(configFolder, 'credentials.json');

/** Keeps them for the user's eyes only. @returns the file */
export async function storeCredentials(configFolder: string, { url, key }: Credentials): Promise<string> {
  await mkdir(configFolder, { recursive: true, mode: 0o700 });
  const file = fileIn(configFolder);
  const unfinished = `${file}.${randomUUID()}`;
  await writeFile(unfinished, `${JSON.stringify({ url, key }, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  await rename(unfinished, file);
  return file;
}

/**
 * What was given on the command line, else in the environment, else to `residual login`.
 * @throws UsageError
 */
export async function findCredentials(config: ClientConfig, given: Partial<Credentials>): Promise<Credentials> {
  const stored = await storedCredentials(config.configFolder);
  const asked = given.url ?? config.url;
  const url = asked === undefined ? (stored?.url ?? DEFAULT_URL) : endpoint(asked);
  // A key goes to the server that it was stored for and to no other.
  const key = given.key ?? config.key ?? (stored?.url === url ? stored.key : undefined);
  if (key === undefined) throw new UsageError(`there is no key for ${url}: residual login stores one, or set RESIDUAL_KEY`);
  return { url, key };
}

async function storedCredentials(configFolder: string): Promise<Credentials | undefined> {
  const file = fileIn(configFolder);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new UsageError(`${file} cannot be read: ${error.message}`);
  });
  if (text === undefined) return undefined;
  try {
    const { url, key } = JSON.parse(text) as Partial<Credentials>;
    if (typeof url === 'string' && typeof key === 'string') return { url, key };
  } catch {
    // Not JSON: told below.
  }
  throw new UsageError(`${file} is not what residual login writes; run it again`);
}

/** The address of a server stands for its endpoint. @throws UsageError */
export function endpoint(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new UsageError(`the URL must be an http:// or https:// URL, such as ${DEFAULT_URL}, not ${text}`);
  const url = new URL(text);
  if (url.pathname === '/') url.pathname = '/graphql';
  return url.href;
}

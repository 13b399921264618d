import http from 'node:http';
import https from 'node:https';
import { Client, S3Error } from 'minio';
import type { ObjectsConfig } from '../config.js';
import { ResidualError, unavailable } from '../errors.js';

/** The MinIO client as the object store uses it: with time limits, and with our errors. */

const CONNECT_TIMEOUT_MS = 3_000;
/** A server that sends nothing for this long, where it has but to read or to remove, is away … */
const READ_IDLE_MS = 5_000;
/** … and where it has something to write or to put together, which may take it longer. */
const WRITE_IDLE_MS = 30_000;
const KEEP_ALIVE_MS = 4_000;

export const isNotFound = (error: unknown) =>
  error instanceof S3Error && ['NotFound', 'NoSuchKey'].includes(error.code ?? '');

/** @throws SERVICE_UNAVAILABLE in place of whatever the client throws */
export async function ask<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    throw translate(error);
  }
}

export function translate(error: unknown): unknown {
  if (error instanceof ResidualError) return error;
  // A refused signature or a missing bucket is for the operator to mend, not for the caller.
  if (error instanceof S3Error) return unavailable(`the object store refuses: ${error.code ?? error.message}`, error);
  return unavailable('the object store does not answer', error);
}

/** A client for one endpoint, which is not asked for anything yet. */
export function connectS3(config: ObjectsConfig, endpoint: string): Client {
  const { protocol, hostname, port } = new URL(endpoint);
  const useSSL = protocol === 'https:';
  return new Client({
    endPoint: hostname,
    ...(port !== '' && { port: Number(port) }),
    useSSL,
    accessKey: config.accessKey,
    secretKey: config.secretKey,
    region: config.region,
    transport: impatient(useSSL ? https : http),
    // Let go of before a server does, so that no request goes out on a connection that is being closed.
    transportAgent: new (useSSL ? https : http).Agent({ keepAlive: true, timeout: KEEP_ALIVE_MS }),
    // The client's retries print to the console, and the callers' queues retry anyway.
    retryOptions: { disableRetry: true },
  });
}

/** The client waits for ever for a server that does not answer; this one does not. */
function impatient(transport: typeof http | typeof https): Pick<typeof http, 'request'> {
  const request = (options: http.RequestOptions, onResponse: (response: http.IncomingMessage) => void) => {
    const made = transport.request(options, onResponse);
    const giveUp = (why: string) => () => void made.destroy(new Error(why));
    const idleMs = ['GET', 'HEAD', 'DELETE'].includes(options.method ?? 'GET') ? READ_IDLE_MS : WRITE_IDLE_MS;
    made.setTimeout(idleMs, giveUp(`nothing came for ${idleMs} ms`));
    made.on('socket', (socket) => {
      if (!socket.connecting) return;
      const timer = setTimeout(giveUp(`no connection in ${CONNECT_TIMEOUT_MS} ms`), CONNECT_TIMEOUT_MS);
      socket.once('connect', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
    });
    return made;
  };
  return { request: request as typeof http.request };
}

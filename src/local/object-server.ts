import { readFileSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import AWSAccount from '@20minutes/s3rver/lib/models/account.js';
import S3rver, { type Context, type Next } from '@20minutes/s3rver';

/** The program of `objects.ts`: `object-server.js PORT FOLDER SECRETS_FOLDER`. */
const [port, directory, secrets] = process.argv.slice(2) as [string, string, string];
const secret = (name: string) => readFileSync(path.join(secrets, name), 'utf8').trim();

// The package comes with one key pair that the whole world knows.
AWSAccount.DUMMY_ACCOUNT.revokeAccessKey('S3RVER');
AWSAccount.DUMMY_ACCOUNT.createKeyPair(secret('s3-access-key'), secret('s3-secret-key'));

const server = new S3rver({ port: Number(port), address: '127.0.0.1', silent: true, directory, resetOnClose: false });
const NO_UPLOADS =
  '<?xml version="1.0" encoding="UTF-8"?>' +
  '<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
  '<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>';

/** An upload that is under way gets a part of 16 MiB every few seconds. */
const IDLE_UPLOAD_MS = 3_600_000;
/** Where the package keeps the parts of a bucket's uploads: a folder for each, by its id. */
const uploadsOf = (bucket: string) => path.join(directory, bucket, '._S3rver_uploads');

/** Removes the parts of uploads to which none was added for so long: their clients died, and the package keeps them. */
async function removeIdleUploads(idleMs: number): Promise<void> {
  for (const bucket of await readdir(directory))
    for (const id of await readdir(uploadsOf(bucket)).catch(() => [])) {
      const upload = path.join(uploadsOf(bucket), id);
      const found = await stat(upload).catch(() => null);
      // Another request may be removing the same, and what stays for now does not keep anybody from going on.
      if (found && Date.now() - found.mtimeMs > idleMs)
        await rm(upload, { recursive: true, force: true }).catch(() => undefined);
    }
}

/**
 * S3's AbortMultipartUpload, which the package has not: it says so, but only once it has found the signature right
 * and the bucket there.
 */
async function abortUpload(context: Context, next: Next): Promise<void> {
  try {
    await next();
  } catch (error) {
    const id = String(context.query['uploadId']);
    // As the package makes them: anything else might be a path that leads elsewhere.
    if ((error as { code?: string }).code !== 'MethodNotAllowed' || !/^[0-9a-f]{32}$/.test(id)) throw error;
    await rm(path.join(uploadsOf(context.params.bucket), id), { recursive: true, force: true });
    context.status = 204;
  }
}

server.middleware.unshift(async (context, next) => {
  // Browsers send data sets from the dashboard's origin; the presigned URL is what authorises, wherever it is used.
  if (context.headers.origin) context.set({ 'access-control-allow-origin': '*' });
  if (context.method === 'OPTIONS') {
    context.status = 204;
    context.set({
      'access-control-allow-methods': 'GET, HEAD, PUT',
      'access-control-allow-headers': context.headers['access-control-request-headers'] ?? '',
      'access-control-max-age': '3600',
    });
  } else if (!context.headers.authorization && !context.query['X-Amz-Signature']) {
    // It would let requests without any signature in.
    context.status = 403;
    context.type = 'application/xml';
    context.body = '<Error><Code>AccessDenied</Code><Message>the request is not signed</Message></Error>';
  } else if (context.method === 'GET' && 'uploads' in context.query) {
    // The client asks for uploads to resume before each one, which the server does not implement.
    context.type = 'application/xml';
    context.body = NO_UPLOADS;
  } else if (context.method === 'DELETE' && 'uploadId' in context.query) await abortUpload(context, next);
  else await next();
  if (context.method === 'POST' && 'uploads' in context.query) await removeIdleUploads(IDLE_UPLOAD_MS);
});

// Nobody goes on with an upload that a server before this one was told of.
await removeIdleUploads(-Infinity);
await server.run();
process.once('SIGTERM', () => void server.close().then(() => process.exit(0)));

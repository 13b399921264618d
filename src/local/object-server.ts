import { readFileSync } from 'node:fs';
import path from 'node:path';
import AWSAccount from '@20minutes/s3rver/lib/models/account.js';
import S3rver from '@20minutes/s3rver';

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
  } else await next();
});

await server.run();
process.once('SIGTERM', () => void server.close().then(() => process.exit(0)));

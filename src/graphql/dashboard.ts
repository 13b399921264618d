import path from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { findUpwards } from './find-upwards.js';

const YEAR_SECONDS = 365 * 24 * 60 * 60;

/**
 * The dashboard of `web/`, as it was built: at `/`, and so that each of its pages has an address of its own, wherever a
 * browser asks for a page that is nobody else's.
 * @param objectStore where browsers send data sets to
 */
export async function registerDashboard(app: FastifyInstance, { objectStore }: { objectStore: string }): Promise<void> {
  const built = findUpwards('web/dist/index.html');
  if (!built) return void app.get('/', async (_request, reply) => reply.code(503).type('text/plain').send(NOT_BUILT));
  const policy = contentSecurityPolicy(new URL(objectStore).origin);
  const page = (reply: FastifyReply) => reply.header('cache-control', 'no-cache').sendFile('index.html');
  await app.register(fastifyStatic, {
    root: path.dirname(built),
    preCompressed: true,
    cacheControl: false,
    setHeaders: (reply, file) => {
      if (file.includes('index.html')) reply.header('content-security-policy', policy);
      // Their names hold hashes of what is in them.
      if (file.includes(`${path.sep}assets${path.sep}`))
        reply.header('cache-control', `public, max-age=${YEAR_SECONDS}, immutable`);
    },
  });
  app.setNotFoundHandler(async (request, reply) => {
    const wantsPage = request.method === 'GET' && request.headers.accept?.includes('text/html');
    if (wantsPage) return page(reply);
    return reply.code(404).send({ message: `there is no ${request.method} ${request.url.split('?')[0]}` });
  });
}

const NOT_BUILT = 'The dashboard is not built: npm run build --workspace web';

/** Nothing comes from elsewhere, and nothing goes elsewhere but data sets to the object store. */
const contentSecurityPolicy = (objectStore: string) =>
  [
    `default-src 'self'`,
    `connect-src 'self' ${objectStore}`,
    `img-src 'self' data: blob:`,
    // The chart's own.
    `style-src 'self' 'unsafe-inline'`,
    `object-src 'none'`,
    `base-uri 'none'`,
    `frame-ancestors 'none'`,
  ].join('; ');

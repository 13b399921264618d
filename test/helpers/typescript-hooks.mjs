import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** `./x.js`, as the sources write it, is `./x.ts` where nothing is built. */
export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || !/^(\.|file:).*\.js$/.test(specifier)) throw error;
    return next(specifier.replace(/\.js$/, '.ts'), context);
  }
}

export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context);
  // rolldown, vite's own compiler: TypeScript's takes half a second to load, in every thread.
  const { transformSync } = await import('rolldown/utils');
  const { code, errors } = transformSync(fileURLToPath(url), await readFile(fileURLToPath(url), 'utf8'));
  if (errors.length > 0) throw errors[0];
  return { format: 'module', source: code, shortCircuit: true };
}

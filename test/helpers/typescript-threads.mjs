import { register } from 'node:module';

/**
 * Vitest compiles TypeScript for a test's own thread; a thread that the sources start has Node's loader alone. Given to
 * vitest's processes as `--import`, which their threads inherit.
 */
register('./typescript-hooks.mjs', import.meta.url);

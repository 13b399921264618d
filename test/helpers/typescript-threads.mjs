import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

/**
 * Vitest compiles TypeScript for a test's own thread; a thread that the sources start has Node's loader alone. Given to
 * vitest's processes as `--import`, which their threads inherit. The main thread does without: hooks would have every
 * module of every package asked for in another thread.
 */
if (!isMainThread) register('./typescript-hooks.mjs', import.meta.url);

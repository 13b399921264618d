import { register } from 'node:module';

/**
 * Lets the worker threads that the sources start run under vitest: vitest compiles TypeScript for the test's own
 * thread only, and a new thread begins with Node's plain loader. Given to vitest's processes as `--import`, which
 * their threads inherit.
 */
register('./typescript-hooks.mjs', import.meta.url);

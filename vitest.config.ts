import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/servers.setup.ts'],
    // When a test hangs, on the slowest of machines: what has to be quick says so itself.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores compute for two files at once; a third fills the time in which one of them waits for a fault to pass.
    maxWorkers: 3,
    // Threads that the sources start are TypeScript too.
    execArgv: ['--import', './test/helpers/typescript-threads.mjs'],
  },
});

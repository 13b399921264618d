import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/servers.setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two cores: more than two files at once only slow each other down.
    maxWorkers: 2,
    // Threads that the sources start are TypeScript too.
    execArgv: ['--import', './test/helpers/typescript-threads.mjs'],
  },
});

import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Long computations first, unit tests last: a long file that is begun last would run alone, with a core at rest. */
class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const later = ['/test/integration/', '/test/unit/'];
    const rank = ({ moduleId }: TestSpecification) => later.findIndex((folder) => moduleId.includes(folder));
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/servers.setup.ts'],
    // When a test hangs, on the slowest of machines: what has to be quick says so itself.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores compute for two files at once; a third fills the time in which one of them waits for a fault to pass.
    maxWorkers: 3,
    sequence: { sequencer: LongFilesFirst },
    // Threads that the sources start are TypeScript too.
    execArgv: ['--import', './test/helpers/typescript-threads.mjs'],
  },
});

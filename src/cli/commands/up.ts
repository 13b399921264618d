import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { withExample } from '../arguments.js';
import type { GlobalOptions } from '../session.js';

/** The folder of package.json, from the compiled file: where `npm start` starts, whoever calls it from where. */
const ROOT = new URL('../../../../', import.meta.url);

export function addUp(program: Command): void {
  const command = program
    .command('up')
    .description('start the platform as npm start does, until Ctrl-C; one line on stdout when it answers')
    .action(async (_options: unknown, of: Command) => {
      const { json } = of.optsWithGlobals<GlobalOptions>();
      process.chdir(fileURLToPath(ROOT));
      // No other command loads the servers.
      const { stayUp } = await import('../foreground.js');
      await stayUp(json ? '' : 'ready ');
    });
  withExample(command, 'PORT=4000 npx residual up');
}

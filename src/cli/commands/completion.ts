import { Argument, type Command } from 'commander';
import { withExample } from '../arguments.js';
import { completionScript, SHELLS, type Shell } from '../completion.js';

export function addCompletion(program: Command): void {
  const command = program
    .command('completion')
    .description('print a script that lets a shell complete the words of this command')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action((shell: Shell) => void process.stdout.write(completionScript(shell, program)));
  command.addHelpText('after', '\nIt completes the word residual: npm link, in the clone, makes that a command.');
  withExample(command, 'source <(residual completion bash)');
}

import { Command } from 'commander';
import { addCompletion } from './commands/completion.js';
import { addDataset } from './commands/dataset.js';
import { addLogin } from './commands/login.js';
import { addModel } from './commands/model.js';
import { addPredict } from './commands/predict.js';
import { addCancel, addRuns, addWatch } from './commands/runs.js';
import { addTrain } from './commands/train.js';
import { addUp } from './commands/up.js';
import { addExport, addPromote } from './commands/versions.js';
import { oneLine } from './exit-codes.js';

/** The tree of commands. */
export function createProgram(): Command {
  const program = new Command('residual')
    .description('Define, train and serve ResNets from a shell: a client of the GraphQL API.')
    .option('--url <url>', 'of the API, before RESIDUAL_URL and what login stored')
    .option('--key <key>', 'before RESIDUAL_KEY and what login stored')
    .option('--json', 'one JSON document on standard output, for programs')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (said, write) => write(`residual: ${oneLine(said.replace(/^error: /, ''))}\n`) })
    .exitOverride()
    .addHelpText('after', HELP);
  const additions = [
    addLogin, addUp, addDataset, addModel, addTrain, addRuns, addWatch, addCancel, addPredict, addPromote, addExport,
    addCompletion,
  ]; // prettier-ignore
  for (const add of additions) add(program);
  return program;
}

const HELP = `
Exit codes:
  0    done
  1    the API refused it, or it failed; one line on standard error says what and which field
  2    wrong usage, or no key
  3    the server cannot be reached
  130  Ctrl-C; a run that was followed goes on

Example:
  $ npx residual train mine fashion-mnist --epochs 3 --plot curves.png`;

import type { Command } from 'commander';
import { choice, pngFile, wholeNumber, withExample } from '../arguments.js';
import { followRun } from '../follow-run.js';
import { cancelRun, findRunId, listRuns, type RunSummary } from '../operations/runs.js';
import { withApi } from '../session.js';
import { four, moment, table } from '../tables.js';

const STATUSES = ['QUEUED', 'RUNNING', 'PAUSED', 'SUCCEEDED', 'FAILED', 'CANCELLED'];

export function addRuns(program: Command): void {
  const runs = program
    .command('runs')
    .description('list runs, the newest first')
    .option('--model <name>')
    .option('--tag <tag>')
    .addOption(choice('--status <status>', 'only those', STATUSES))
    .option('--limit <count>', 'at most 100', wholeNumber, 20)
    .action((options: ListOptions, command: Command) =>
      withApi(command, async ({ api, result }) => {
        const { limit: first, status, model, tag } = options;
        const found = await listRuns(api, { first, model, tag, status: status === undefined ? status : [status] });
        result(found, describe(found));
      }),
    );
  withExample(runs, 'npx residual runs --model mine --status running');
}

interface ListOptions {
  readonly model?: string;
  readonly tag?: string;
  readonly status?: string;
  readonly limit: number;
}

/** What a run is named by. */
const RUN = 'its number, its id, or the beginning of its id';

export function addWatch(program: Command): void {
  const watch = program
    .command('watch')
    .description('follow a run to its end; Ctrl-C leaves it going')
    .argument('<run>', RUN)
    .option('--plot <file.png>', 'draw accuracy and loss over epochs', pngFile)
    .action((reference: string, options: { plot?: string }, command: Command) =>
      withApi(command, (session) => followRun(session, reference, options)),
    );
  withExample(watch, 'npx residual watch 12 --plot curves.png');
}

export function addCancel(program: Command): void {
  const cancel = program
    .command('cancel')
    .description('end a run: one that waits at once, one that runs within 2 s')
    .argument('<run>', RUN)
    .action((reference: string, _options: unknown, command: Command) =>
      withApi(command, async ({ api, result }) => {
        const run = await cancelRun(api, await findRunId(api, reference));
        result(run, run.status === 'CANCELLED' ? `Run ${run.id} is cancelled.` : `Run ${run.id} is asked to end.`);
      }),
    );
  withExample(cancel, 'npx residual cancel 12');
}

function describe(runs: readonly RunSummary[]): string {
  const head = ['run', 'id', 'status', 'model', 'data set', 'progress', 'version', 'accuracy', 'created'];
  const rows = runs.map(({ number, id, status, model, dataset, progress, version, evaluation, createdAt }) => [
    number, id, status, model.name, `${dataset.name}@${dataset.version}`, `${Math.floor(100 * progress)}%`,
    version?.version ?? '', four(evaluation?.accuracy), moment(createdAt),
  ]); // prettier-ignore
  return table(head, rows);
}

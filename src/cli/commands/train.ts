import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { choice, collected, decimal, pngFile, readJsonFile, wholeNumber, withExample } from '../arguments.js';
import { followRun } from '../follow-run.js';
import { readRun, startTraining } from '../operations/runs.js';
import { patiently } from '../patience.js';
import { withApi } from '../session.js';
import { UsageError } from '../usage-error.js';

export function addTrain(program: Command): void {
  const command = program
    .command('train')
    .description('start a run and follow it to its end; Ctrl-C leaves it going')
    .argument('<model>')
    .argument('<dataset>', 'name or name@version')
    .option('--epochs <count>', 'passes over the training images', wholeNumber)
    .option('--batch-size <images>', 'of one step', wholeNumber)
    .addOption(choice('--optimizer <kind>', 'that moves the weights', ['SGD', 'ADAM', 'ADAMW']))
    .option('--learning-rate <rate>', 'the highest that the schedule comes to', decimal)
    .option('--momentum <share>', 'of SGD', decimal)
    .option('--weight-decay <rate>', 'not on biases and norms', decimal)
    .addOption(choice('--schedule <kind>', 'of the learning rate', ['CONSTANT', 'STEP', 'COSINE', 'ONE_CYCLE']))
    .option('--warmup-epochs <epochs>', 'over which the rate rises', decimal)
    .addOption(choice('--precision <precision>', 'that steps compute in', ['AUTO', 'FLOAT32', 'BFLOAT16']))
    .addOption(choice('--engine <engine>', 'that computes', ['AUTO', 'ONEDNN', 'TFJS']))
    .option('--seed <number>', 'decides every random choice', wholeNumber)
    .option('--validation-fraction <share>', 'of TRAIN that validates; 0: TEST does', decimal)
    .option('--label-smoothing <share>', 'of the other classes', decimal)
    .option('--initial-weights <model>', 'fine-tune: name, name:3, name@alias')
    .option('--tag <tag>', 'may be given again', collected)
    .option('--priority <number>', 'larger runs first', wholeNumber)
    .option('--quantize', 'the version in eight bits too')
    .option('--input <file.json>', 'any field of StartTrainingInput; options above go before it')
    .option('--detach', 'start it, print its id, and end')
    .option('--plot <file.png>', 'draw accuracy and loss over epochs', pngFile)
    .action(train);
  command.addHelpText('after', `
Any option of the optimizer or of the schedule takes the place of the preset's whole recipe for it; what is then left out
is as StartTrainingInput says. Exit code 1: the run failed or was cancelled; 130: Ctrl-C, and the run goes on.`);
  withExample(
    command,
    'npx residual train mine fashion-mnist --epochs 3 --schedule one-cycle --learning-rate 0.2 --plot curves.png',
  );
}

interface TrainOptions {
  readonly optimizer?: string;
  readonly learningRate?: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
  readonly schedule?: string;
  readonly warmupEpochs?: number;
  readonly tag?: string[];
  readonly input?: string;
  readonly detach?: boolean;
  readonly plot?: string;
}

/** Options that are fields of StartTrainingInput by the same name. */
const SAME_NAME = [
  'epochs', 'batchSize', 'precision', 'engine', 'seed', 'validationFraction', 'labelSmoothing', 'initialWeights',
  'priority', 'quantize',
] as const; // prettier-ignore

async function train(model: string, dataset: string, options: TrainOptions, command: Command): Promise<void> {
  await checkPlot(options);
  const given = options.input === undefined ? {} : await readJsonFile(options.input);
  await withApi(command, async (session) => {
    const { api, note, result } = session;
    const { id, number } = await startTraining(api, { ...given, ...fieldsOf(options, given), model, dataset });
    const started = `Run ${number} of ${model} started: ${id}`;
    if (options.detach) return result(await patiently(() => readRun(api, id)), started);
    note(started);
    await followRun(session, id, options);
  });
}

/** Before the run rather than after it. @throws UsageError */
async function checkPlot({ plot, detach }: TrainOptions): Promise<void> {
  if (plot === undefined) return;
  if (detach) throw new UsageError('--plot draws the end of a run, which --detach does not wait for');
  const folder = path.dirname(plot);
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) throw new UsageError(`--plot: there is no folder ${folder}`);
}

function fieldsOf(options: TrainOptions, given: Fields): Fields {
  const { optimizer: kind, learningRate, momentum, weightDecay, schedule, warmupEpochs, tag } = options;
  const all: Partial<Record<string, unknown>> = { ...options };
  return {
    ...Object.fromEntries(SAME_NAME.filter((name) => all[name] !== undefined).map((name) => [name, all[name]])),
    ...merged('optimizer', given, { kind, learningRate, momentum, weightDecay }),
    ...merged('schedule', given, { kind: schedule, warmupEpochs }),
    ...(tag !== undefined && { tags: tag }),
  };
}

type Fields = Record<string, unknown>;

/** The field with what was given of it on the command line; nothing where nothing was. */
function merged(field: string, given: Fields, parts: Fields): Fields {
  const present = Object.entries(parts).filter(([, value]) => value !== undefined);
  if (present.length === 0) return {};
  return { [field]: { ...(given[field] as object | undefined), ...Object.fromEntries(present) } };
}

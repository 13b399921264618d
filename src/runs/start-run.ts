import { isDeepStrictEqual } from 'node:util';
import { resolveDataset } from '../datasets/find-dataset.js';
import { integer } from '../domain/field-checks.js';
import { checkText } from '../domain/names.js';
import type { NetworkDefinition } from '../domain/network/definition.js';
import { buildGraph } from '../domain/network/layers.js';
import { transferProblems } from '../domain/network/transfer.js';
import { normalisePlan, type InitialWeights, type PlanInput, type TrainingPlan } from '../domain/plan.js';
import { defaultRecipe, type Recipe } from '../domain/recipes.js';
import { horizonOf, validationImages } from '../domain/split.js';
import { badInput, conflict, notFound } from '../errors.js';
import type { Database, Transaction } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import { Prisma, type Dataset, type Model, type TrainingRun } from '../infra/prisma/client.js';
import { MAX_PRIORITY, type JobQueue } from '../infra/queue.js';
import { findModel } from '../models/find-model.js';
import { holdWeights } from '../registry/hold-weights.js';
import { resolveWeights, type ResolvedWeights } from '../registry/resolve-weights.js';
import { KEPT_CHECKPOINTS, storedConfig, type RunConfig } from './run-config.js';
import { announceRun } from './watch-runs.js';

export interface StartRunInput extends PlanInput {
  /** Its name. */
  readonly model: string;
  /** name, which is its latest READY version, or name@version. */
  readonly dataset: string;
  /** `name`, `name:3`, `name:latest`, `name@alias`, or the id or SHA-256 of an artifact. */
  readonly initialWeights?: string | null | undefined;
  /** Larger first. */
  readonly priority?: number | null | undefined;
  readonly tags?: readonly string[] | null | undefined;
  /** Beside the checkpoint of each epoch. */
  readonly checkpointEverySteps?: number | null | undefined;
  /** The newest so many stay after its end. @default 2 */
  readonly keepCheckpoints?: number | null | undefined;
  /** Its version is to be quantised once it is published. @default false */
  readonly quantize?: boolean | null | undefined;
  /** The same key with the same input is the same run. */
  readonly idempotencyKey?: string | null | undefined;
}

interface Deps {
  readonly database: Database;
  readonly queue: JobQueue;
  readonly events: EventBus;
}

const WEIGHTS = 'input.initialWeights';
const MAX_TAGS = 20;
/** Tensors that an error names. */
const MAX_LISTED = 20;
const MAX_STEPS = 2 ** 31 - 1;
const MAX_KEPT_CHECKPOINTS = 100;

/** A run that may be recorded: its whole input, and what the names in it meant when that was looked up. */
export interface PreparedRun {
  readonly config: RunConfig;
  readonly model: Model;
  readonly dataset: Dataset;
  readonly weights: ResolvedWeights | undefined;
}

/**
 * Records the run, then queues it. The row is the truth: where the queue is away the run is recorded all the same, and
 * `recoverRuns` queues it later.
 * @throws BAD_USER_INPUT with the field; NOT_FOUND; CONFLICT where the idempotency key came with another input.
 */
export async function startRun(deps: Deps, input: StartRunInput): Promise<TrainingRun> {
  const { model, config } = await readInput(deps, input);
  const key = checkText('input.idempotencyKey', input.idempotencyKey ?? null);
  const known = key === null ? null : await findByKey(deps.database, key);
  if (known) return sameRun(known, config);

  const run = await insertRun(deps.database, await resolveTogether(deps, config, model), key);
  const queued = deps.queue.enqueue('train', { v: 1, runId: run.id }, { priority: run.priority });
  // Together: while Redis is away each of the two waits for it.
  await Promise.all([queued.catch(() => undefined), announceRun(deps.events, run.id)]);
  return run;
}

/**
 * Everything that `startRun` checks, with nothing recorded. The idempotency key is the caller's to mind.
 * @param change what else is asked of the run, once the model's recipe has filled in what `input` leaves open
 * @throws BAD_USER_INPUT with the field; NOT_FOUND.
 */
export async function prepareRun(
  deps: Pick<Deps, 'database'>,
  input: StartRunInput,
  change: (input: StartRunInput) => StartRunInput,
): Promise<PreparedRun> {
  const { model, config } = await readInput(deps, input, change);
  return resolveTogether(deps, config, model);
}

async function readInput(
  deps: Pick<Deps, 'database'>,
  input: StartRunInput,
  change = (completed: StartRunInput) => completed,
) {
  const model = await findModel(deps, checkText('input.model', input.model));
  if (!model) throw notFound(`there is no model named ${input.model}`, 'input.model');
  return { model, config: normaliseConfig(change(withRecipe(input, defaultRecipe(model.preset)))) };
}

async function resolveTogether(deps: Pick<Deps, 'database'>, config: RunConfig, model: Model): Promise<PreparedRun> {
  const dataset = await resolveDataset(deps, config.dataset, 'input.dataset');
  checkTogether(config, model, dataset);
  return { config, model, dataset, weights: await resolveInitial(deps, config, model) };
}

const withRecipe = (input: StartRunInput, recipe: Recipe): StartRunInput => ({
  ...input,
  optimizer: input.optimizer ?? recipe.optimizer,
  schedule: input.schedule ?? recipe.schedule,
});

function normaliseConfig(input: StartRunInput): RunConfig {
  const priority = integer('input.priority', input.priority ?? 0, -MAX_PRIORITY, MAX_PRIORITY);
  const tags = [...new Set(input.tags ?? [])];
  if (tags.length > MAX_TAGS) throw badInput('input.tags', `a run has at most ${MAX_TAGS} tags, not ${tags.length}`);
  tags.forEach((tag, index) => checkText(`input.tags.${index}`, tag));
  const initialWeights = checkText(WEIGHTS, input.initialWeights ?? null);
  return {
    model: input.model,
    dataset: input.dataset,
    ...normalisePlan(input),
    ...(initialWeights !== null && { initialWeights }),
    priority,
    tags,
    ...normaliseCheckpoints(input),
    ...(input.quantize === true && { quantize: true }),
  };
}

function normaliseCheckpoints({
  checkpointEverySteps: every,
  keepCheckpoints: kept,
}: StartRunInput): Pick<RunConfig, 'checkpointEverySteps' | 'keepCheckpoints'> {
  const keepCheckpoints = integer('input.keepCheckpoints', kept ?? KEPT_CHECKPOINTS, 0, MAX_KEPT_CHECKPOINTS);
  if (every === null || every === undefined) return { keepCheckpoints };
  if (!Number.isInteger(every) || every < 1 || every > MAX_STEPS)
    throw badInput('input.checkpointEverySteps', `must be a whole number of at least 1, not ${every}`);
  return { keepCheckpoints, checkpointEverySteps: every };
}

/** What each of plan, model and data set allows alone but not together. Images are not resized for training. */
function checkTogether(plan: RunConfig, model: Model, dataset: Dataset): void {
  const shapeOf = ({ height, width, channels }: Model | Dataset) => `${channels}x${height}x${width}`;
  const name = `${dataset.name}@${dataset.version}`;
  if (dataset.channels !== model.channels)
    throw badInput('input.dataset', `${name} has ${dataset.channels} channels, ${model.name} takes ${model.channels}`);
  if (shapeOf(dataset) !== shapeOf(model))
    throw badInput('input.dataset', `${name} has images of ${shapeOf(dataset)}, ${model.name} takes ${shapeOf(model)}`);
  if (dataset.classNames.length !== model.classNames.length)
    throw badInput(
      'input.dataset',
      `${name} has ${dataset.classNames.length} classes, ${model.name} ${model.classNames.length}`,
    );
  const training = dataset.trainSize - validationImages(dataset.trainSize, plan.validationFraction);
  if (plan.batchSize > training)
    throw badInput('input.batchSize', `must be at most the ${training} training images of ${name}, not ${plan.batchSize}`);
  checkNorms(plan.batchSize, training, model);
  const side = Math.min(model.height, model.width);
  if (plan.augmentation.cropPadding > side)
    throw badInput(
      'input.augmentation.cropPadding',
      `must be at most the image's ${side} pixels, not ${plan.augmentation.cropPadding}`,
    );
  const { totalSteps } = horizonOf(plan, dataset.trainSize);
  if (totalSteps > MAX_STEPS)
    throw badInput('input.epochs', `makes ${totalSteps} steps, of which a run has at most ${MAX_STEPS}`);
}

/**
 * A batch norm over one value gives its shift whatever the image and no gradient; PyTorch refuses to train it too
 * ("Expected more than 1 value per channel").
 */
function checkNorms(batchSize: number, images: number, model: Model): void {
  const last = images % batchSize || batchSize;
  if (last > 1) return;
  const { nodes } = buildGraph(model.definition as unknown as NetworkDefinition);
  const norm = nodes.find(({ kind, outputShape: [, ...area] }) => kind === 'batchNorm' && Math.max(...area) === 1);
  if (!norm) return;
  const batch = batchSize === 1 ? 'a batch' : `the last batch of an epoch (${images} images by ${batchSize})`;
  throw badInput(
    'input.batchSize',
    `makes ${batch} one image, and ${model.name}'s ${norm.name} normalises over 1x1: it needs at least two values`,
  );
}

/** By the networks' tensors; what another head may differ in, everything else may not. */
async function resolveInitial(
  deps: Pick<Deps, 'database'>,
  { initialWeights: text }: RunConfig,
  model: Model,
): Promise<ResolvedWeights | undefined> {
  if (text === undefined) return undefined;
  const weights = await resolveWeights(deps, text, WEIGHTS);
  const wanted = buildGraph(model.definition as unknown as NetworkDefinition);
  const problems = transferProblems(buildGraph(weights.definition), wanted);
  if (problems.length === 0) return weights;
  const listed = problems.slice(0, MAX_LISTED).join('; ');
  const more = problems.length > MAX_LISTED ? ` and ${problems.length - MAX_LISTED} more` : '';
  throw badInput(WEIGHTS, `${weights.reference} does not fit ${model.name}: ${listed}${more}`);
}

/** The row of a run that is not there yet. */
export function runRow({ config, model, dataset, weights }: PreparedRun): Prisma.TrainingRunCreateManyInput {
  const { model: _model, dataset: _dataset, initialWeights: _weights, priority, tags, ...others } = config;
  const { checkpointEverySteps, keepCheckpoints, quantize = false, ...rest } = others;
  const plan: TrainingPlan = { ...rest, ...(weights && { initialWeights: planned(weights) }) };
  return {
    modelId: model.id,
    datasetId: dataset.id,
    config: asJson(config),
    plan: asJson(plan),
    totalSteps: horizonOf(config, dataset.trainSize).totalSteps,
    priority,
    tags: [...tags],
    keepCheckpoints,
    quantize,
    checkpointEverySteps: checkpointEverySteps ?? null,
  };
}

const planned = ({ reference, sha256 }: ResolvedWeights): InitialWeights => ({ reference, sha256 });

/** For the transaction that has recorded these runs. @throws NOT_FOUND on `field` where a version is gone meanwhile */
export function holdWeightsOf(transaction: Transaction, runs: readonly PreparedRun[], field: string): Promise<void> {
  const weights = runs.flatMap((run) => run.weights ?? []);
  return holdWeights(transaction, weights, field);
}

async function insertRun(
  database: Database,
  prepared: PreparedRun,
  idempotencyKey: string | null,
): Promise<TrainingRun> {
  try {
    return await database.$transaction(async (transaction) => {
      const run = await transaction.trainingRun.create({ data: { ...runRow(prepared), idempotencyKey } });
      await holdWeightsOf(transaction, [prepared], WEIGHTS);
      return run;
    });
  } catch (error) {
    const code = error instanceof Prisma.PrismaClientKnownRequestError ? error.code : undefined;
    // Another request with the same key came first.
    const first = code === 'P2002' && idempotencyKey !== null ? await findByKey(database, idempotencyKey) : null;
    if (first) return sameRun(first, prepared.config);
    if (code === 'P2003') throw conflict('the model or the data set was deleted meanwhile');
    throw error;
  }
}

function findByKey(database: Database, idempotencyKey: string): Promise<TrainingRun | null> {
  return database.trainingRun.findUnique({ where: { idempotencyKey } });
}

function sameRun(run: TrainingRun, config: RunConfig): TrainingRun {
  if (isDeepStrictEqual(storedConfig(run), asJson(config))) return run;
  throw conflict('this key was used for a run with another input', 'input.idempotencyKey');
}

const asJson = (value: object) => JSON.parse(JSON.stringify(value)) as Prisma.InputJsonObject;

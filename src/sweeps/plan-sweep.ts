import { MAX_TRIALS, gridTrials, randomTrials, spaceSize, type SearchAlgorithm } from '../domain/search.js';
import {
  assign,
  describe,
  normaliseParameters,
  type Assignment,
  type ListParameter,
  type ParameterInput,
  type SearchParameter,
} from '../domain/search-space.js';
import { integer, oneOf } from '../domain/field-checks.js';
import { METRICS, type Metric } from '../domain/plan.js';
import { checkText } from '../domain/names.js';
import { ResidualError, badInput } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { Dataset } from '../infra/prisma/client.js';
import { prepareRun, type PreparedRun, type StartRunInput } from '../runs/start-run.js';

export interface StartSweepInput {
  readonly name: string;
  /** What the trials have in common. Its idempotency key is the sweep's. */
  readonly base: StartRunInput;
  readonly parameters: readonly ParameterInput[];
  readonly algorithm?: SearchAlgorithm | null | undefined;
  readonly trials?: number | null | undefined;
  readonly metric?: Metric | null | undefined;
  readonly reductionFactor?: number | null | undefined;
  readonly minEpochs?: number | null | undefined;
}

/** The whole input with every default of its own filled in; the base is as given. */
export interface SweepConfig {
  readonly name: string;
  readonly base: StartRunInput;
  readonly parameters: readonly SearchParameter[];
  readonly algorithm: SearchAlgorithm;
  /** How many are drawn; a grid has as many as its lists make. */
  readonly trials: number;
  readonly metric: Metric;
  readonly reductionFactor: number;
  readonly minEpochs: number;
}

const MAX_REDUCTION = 100;

/** @throws BAD_USER_INPUT with the field */
export function normaliseSweep(input: StartSweepInput): SweepConfig {
  const algorithm = input.algorithm ?? 'ASHA';
  const { idempotencyKey: _key, ...base } = input.base;
  const parameters = normaliseParameters(input.parameters, 'input.parameters');
  if (algorithm === 'GRID') checkGrid(parameters);
  if (algorithm === 'ASHA') checkHorizon(parameters);
  return {
    name: checkText('input.name', input.name),
    base,
    parameters,
    algorithm,
    trials: integer('input.trials', input.trials ?? 8, 1, MAX_TRIALS),
    metric: oneOf('input.metric', input.metric ?? 'VALIDATION_ACCURACY', METRICS),
    reductionFactor: integer('input.reductionFactor', input.reductionFactor ?? 3, 2, MAX_REDUCTION),
    minEpochs: integer('input.minEpochs', input.minEpochs ?? 1, 1, 2 ** 31 - 1),
  };
}

function checkGrid(parameters: readonly SearchParameter[]): void {
  const range = parameters.findIndex((parameter) => !('values' in parameter));
  if (range >= 0) throw badInput(`input.parameters.${range}.values`, 'a grid tries values: a range has no end of them');
  const size = spaceSize(parameters);
  if (size > MAX_TRIALS) throw badInput('input.parameters', `makes ${size} trials; a sweep has at most ${MAX_TRIALS}`);
}

/** Trials are compared at the same epoch of the same number of epochs. */
function checkHorizon(parameters: readonly SearchParameter[]): void {
  const epochs = parameters.findIndex(({ path }) => path === 'epochs');
  if (epochs >= 0)
    throw badInput(`input.parameters.${epochs}.path`, 'ASHA decides itself how many of the epochs a trial trains');
}

export interface PlannedTrial {
  readonly assignment: Assignment;
  readonly run: PreparedRun;
}

/**
 * Every trial, checked as `startTraining` would check it, with nothing recorded.
 * @throws BAD_USER_INPUT, NOT_FOUND on the field of the sweep's input that is at fault
 */
export async function planTrials(deps: { readonly database: Database }, config: SweepConfig): Promise<PlannedTrial[]> {
  const { base, parameters, algorithm, trials } = config;
  const assignments =
    algorithm === 'GRID'
      ? gridTrials(parameters as readonly ListParameter[])
      : randomTrials(parameters, trials, base.seed ?? 0);
  const planned: PlannedTrial[] = [];
  for (const assignment of assignments) {
    try {
      planned.push({ assignment, run: await prepareTrial(deps, base, assignment) });
    } catch (error) {
      if (!(error instanceof ResidualError)) throw error;
      throw blame(error, parameters, assignment, planned.length + 1);
    }
  }
  return withOneMeaning(planned);
}

function prepareTrial(deps: { readonly database: Database }, base: StartRunInput, assignment: Assignment) {
  const { model = base.model } = assignment as { model?: string };
  return prepareRun(deps, { ...base, model }, (completed) => assign(completed, assignment));
}

/** Of a field that is varied, the value; else the base's field. */
function blame(
  error: ResidualError,
  parameters: readonly SearchParameter[],
  assignment: Assignment,
  trial: number,
): ResidualError {
  const path = (error.field ?? 'input').replace(/^input\.?/, '');
  const index = parameters.findIndex((parameter) => `${path}.`.startsWith(`${parameter.path}.`));
  const field = index < 0 ? `input.base.${path}` : `input.parameters.${index}${placeIn(parameters[index]!, assignment, path)}`;
  return new ResidualError(error.code, `trial ${trial} (${describe(assignment)}): ${error.message}`, field);
}

function placeIn(parameter: SearchParameter, assignment: Assignment, path: string): string {
  if (!('values' in parameter)) return '';
  return `.values.${parameter.values.indexOf(assignment[parameter.path]!)}${path.slice(parameter.path.length)}`;
}

/** A bare name is the latest version, of which there may be a new one between two trials, and an alias may move. */
function withOneMeaning(planned: readonly PlannedTrial[]): PlannedTrial[] {
  const datasets = new Map<string, Dataset>();
  const weights = new Map<string | undefined, PreparedRun['weights']>();
  return planned.map(({ assignment, run }) => {
    const { dataset, initialWeights } = run.config;
    if (!datasets.has(dataset)) datasets.set(dataset, run.dataset);
    if (!weights.has(initialWeights)) weights.set(initialWeights, run.weights);
    return { assignment, run: { ...run, dataset: datasets.get(dataset)!, weights: weights.get(initialWeights) } };
  });
}

import { isDeepStrictEqual } from 'node:util';
import { rungEpochs } from '../domain/halving.js';
import { checkText } from '../domain/names.js';
import { describe } from '../domain/search-space.js';
import { badInput, conflict } from '../errors.js';
import { MANY_ROWS, type Database } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import { Prisma, type Sweep } from '../infra/prisma/client.js';
import type { JobQueue } from '../infra/queue.js';
import { holdWeightsOf } from '../runs/start-run.js';
import { queueRuns, recordTrials } from '../runs/trials.js';
import { normaliseSweep, planTrials, type PlannedTrial, type StartSweepInput, type SweepConfig } from './plan-sweep.js';
import { configOf } from './read-trials.js';

interface Deps {
  readonly database: Database;
  readonly queue: JobQueue;
  readonly events: EventBus;
}

/**
 * Records the sweep and all its trials in one transaction, then queues them: there is no half a sweep, and nothing that
 * is said later (a new version of the data set, a model's deletion) changes what its trials are.
 * @throws BAD_USER_INPUT with the field; NOT_FOUND; CONFLICT where the idempotency key came with another input.
 */
export async function startSweep(deps: Deps, input: StartSweepInput): Promise<Sweep> {
  const config = normaliseSweep(input);
  const key = checkText('input.base.idempotencyKey', input.base.idempotencyKey ?? null);
  const known = key === null ? null : await findByKey(deps.database, key);
  if (known) return sameSweep(known, config);

  const trials = await planTrials(deps, config);
  const { sweep, runs } = await record(deps.database, config, trials, key);
  await queueRuns(deps, runs);
  return sweep;
}

async function record(database: Database, config: SweepConfig, trials: readonly PlannedTrial[], key: string | null) {
  const rungs = rungsOf(config, trials);
  const data = { name: config.name, config: asJson(config), trials: trials.length, rungs, idempotencyKey: key };
  try {
    return await database.$transaction(async (transaction) => {
      const sweep = await transaction.sweep.create({ data });
      const parent = { sweepId: sweep.id, pauseAfterEpoch: rungs[0] ?? null };
      const runs = await recordTrials(transaction, parent, trials.map(withLine(config, trials.length)));
      await holdWeightsOf(transaction, trials.map(({ run }) => run), 'input.base.initialWeights');
      return { sweep, runs };
    }, MANY_ROWS);
  } catch (error) {
    const code = error instanceof Prisma.PrismaClientKnownRequestError ? error.code : undefined;
    // Another request with the same key came first.
    const first = code === 'P2002' && key !== null ? await findByKey(database, key) : null;
    if (first) return { sweep: sameSweep(first, config), runs: [] };
    if (code === 'P2003') throw conflict('the model or the data set was deleted meanwhile');
    throw error;
  }
}

/** Where trials pause to be compared. @throws BAD_USER_INPUT */
function rungsOf({ algorithm, minEpochs, reductionFactor }: SweepConfig, [first]: readonly PlannedTrial[]): number[] {
  if (algorithm !== 'ASHA') return [];
  const { epochs } = first!.run.config;
  if (minEpochs > epochs) throw badInput('input.minEpochs', `must be at most the base's ${epochs} epochs, not ${minEpochs}`);
  return rungEpochs(minEpochs, reductionFactor, epochs);
}

const withLine = ({ name }: SweepConfig, trials: number) => ({ run, assignment }: PlannedTrial, index: number) => ({
  run,
  line: `trial ${index + 1} of ${trials} of the sweep ${name}: ${describe(assignment)}`,
});

function findByKey(database: Database, idempotencyKey: string): Promise<Sweep | null> {
  return database.sweep.findUnique({ where: { idempotencyKey } });
}

function sameSweep(sweep: Sweep, config: SweepConfig): Sweep {
  if (isDeepStrictEqual(asJson(configOf(sweep)), asJson(config))) return sweep;
  throw conflict('this key was used for a sweep with another input', 'input.base.idempotencyKey');
}

/** What is null was left open, as what is not there; what was recorded before there was `quantize` has none. */
const asJson = (value: object) => JSON.parse(JSON.stringify(value, withoutOpen)) as Prisma.InputJsonObject;

const withoutOpen = (name: string, value: unknown) =>
  value === null || (name === 'quantize' && value === false) ? undefined : value;

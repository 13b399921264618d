import { integer } from '../domain/field-checks.js';
import { badInput } from '../errors.js';
import type { RunStatus } from '../domain/run-state.js';
import type { Database } from '../infra/database.js';
import { readPage, type Page, type PageArguments } from '../infra/page.js';
import type { EpochMetric, LogLine, StepMetric, TrainingRun } from '../infra/prisma/client.js';
import { NEWEST_FIRST, orderRuns, placeOf, runsBeyond, type RunOrder } from './order-runs.js';

interface Deps {
  readonly database: Database;
}

export function findRun({ database }: Deps, id: string): Promise<TrainingRun | null> {
  return database.trainingRun.findUnique({ where: { id } });
}

export interface RunFilter {
  /** Its name. */
  readonly model?: string | null | undefined;
  readonly status?: readonly RunStatus[] | null | undefined;
  readonly tag?: string | null | undefined;
}

/** @throws BAD_USER_INPUT for a cursor of another order */
export async function listRuns(
  { database }: Deps,
  { model, status, tag }: RunFilter,
  page: PageArguments,
  order: RunOrder = NEWEST_FIRST,
): Promise<Page<TrainingRun>> {
  const where = {
    ...(model != null && { model: { name: model } }),
    ...(status != null && { status: { in: [...status] } }),
    ...(tag != null && { tags: { has: tag } }),
  };
  const beyond = (place: string) => runsBeyond(place, order, page.last === undefined ? 'after' : 'before');
  const found = await readPage(
    page,
    ({ take, cursor }) =>
      database.trainingRun.findMany({
        where: { AND: [where, cursor ? beyond(cursor.id) : {}] },
        orderBy: orderRuns(order),
        take,
      }),
    () => database.trainingRun.count({ where }),
  );
  return { ...found, placeOf: (run) => placeOf(run, order) };
}

/** 1 for the run that is taken up next; null where it does not wait. */
export async function queuePosition(
  { database }: Deps,
  { status, priority, queuedAt, number }: TrainingRun,
): Promise<number | null> {
  if (status !== 'QUEUED') return null;
  const ahead = await database.trainingRun.count({
    where: {
      status: 'QUEUED',
      OR: [
        { priority: { gt: priority } },
        { priority, queuedAt: { lt: queuedAt } },
        { priority, queuedAt, number: { lt: number } },
      ],
    },
  });
  return ahead + 1;
}

export function readHistory({ database }: Deps, runId: string): Promise<EpochMetric[]> {
  return database.epochMetric.findMany({ where: { runId }, orderBy: { epoch: 'asc' } });
}

/** @throws BAD_USER_INPUT */
export const checkLast = (last: number): number => integer('last', last, 1, MAX_RECENT_EPOCHS);

const MAX_RECENT_EPOCHS = 10_000;
export const MAX_STEP_POINTS = 10_000;

/** At most `maxPoints` steps, evenly spread, the last one among them. @throws BAD_USER_INPUT */
export async function readSteps({ database }: Deps, runId: string, maxPoints: number): Promise<StepMetric[]> {
  integer('maxPoints', maxPoints, 1, MAX_STEP_POINTS);
  return database.$queryRaw<StepMetric[]>`
    WITH numbered AS (
      SELECT *, row_number() OVER (ORDER BY step) AS place, count(*) OVER () AS total
      FROM "StepMetric" WHERE "runId" = ${runId}
    )
    SELECT "runId", step, epoch, loss, accuracy, "learningRate", "imagesPerSecond" FROM numbered
    -- Of each of the maxPoints equal stretches its last step.
    WHERE place * ${maxPoints}::bigint / total > (place - 1) * ${maxPoints}::bigint / total
    ORDER BY step`;
}

/** In the order they were written. */
export function readLogs({ database }: Deps, runId: string, page: PageArguments): Promise<Page<LogLine>> {
  return readPage(
    page,
    ({ cursor, ...window }) =>
      database.logLine.findMany({
        where: { runId },
        orderBy: { id: 'asc' },
        ...window,
        ...(cursor && { cursor: { id: lineId(cursor.id) } }),
      }),
    () => database.logLine.count({ where: { runId } }),
  );
}

function lineId(cursor: string): bigint {
  if (!/^\d{1,18}$/.test(cursor)) throw badInput('after', 'is not a cursor of this list');
  return BigInt(cursor);
}

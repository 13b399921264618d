import { integer } from '../domain/field-checks.js';
import type { RunStatus } from '../domain/run-state.js';
import type { Database } from '../infra/database.js';
import { beyond, readPage, type Page, type PageArguments } from '../infra/page.js';
import type { LogLine, StepMetric, TrainingRun } from '../infra/prisma/client.js';
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
  const found = await readPage(
    page,
    ({ take, place }) =>
      database.trainingRun.findMany({
        where: { AND: [where, place ? runsBeyond(place.holds, order, place.side) : {}] },
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

/** @throws BAD_USER_INPUT */
export const checkLast = (last: number): number => integer('last', last, 1, MAX_RECENT_EPOCHS);

const MAX_RECENT_EPOCHS = 10_000;
export const MAX_STEP_POINTS = 10_000;

/**
 * At most `maxPoints` steps, evenly spread, the last one among them: of as many equal stretches each one's last step.
 * Steps count from 1 without a gap, so these are looked up, whatever the length of the run.
 * @throws BAD_USER_INPUT
 */
export async function readSteps({ database }: Deps, runId: string, maxPoints: number): Promise<StepMetric[]> {
  integer('maxPoints', maxPoints, 1, MAX_STEP_POINTS);
  return database.$queryRaw<StepMetric[]>`
    WITH run AS (
      SELECT max(step)::bigint AS steps, least(max(step), ${maxPoints}::bigint) AS points
      FROM "StepMetric" WHERE "runId" = ${runId}
    )
    SELECT * FROM "StepMetric" WHERE "runId" = ${runId} AND step = ANY(ARRAY(
      -- The last step of stretch k: its end, rounded up.
      SELECT ((k * steps + points - 1) / points)::int FROM run, generate_series(1, points) AS k
    ))
    ORDER BY step`;
}

const LINE_ID = /^(\d{1,18})$/;

/** In the order they were written. @throws BAD_USER_INPUT for a cursor of another list */
export function readLogs({ database }: Deps, runId: string, page: PageArguments): Promise<Page<LogLine>> {
  return readPage(
    page,
    ({ take, place }) =>
      database.logLine.findMany({
        where: { runId, ...(place && { id: beyond(place, 'asc', LINE_ID, BigInt) }) },
        orderBy: { id: 'asc' },
        take,
      }),
    () => database.logLine.count({ where: { runId } }),
  );
}

import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Unreachable, type ApiClient } from './client.js';
import { findRunId, readRun, watchRun, type Run } from './operations/runs.js';
import { patiently } from './patience.js';
import type { Session } from './session.js';
import { classTable, four } from './tables.js';
import { displayProgress, type ProgressDisplay } from './training-progress.js';

/** Ctrl-C: the command ends, the run does not. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  constructor(reference: string) {
    super(
      `the run goes on; "npx residual watch ${reference}" comes back to it, "npx residual cancel ${reference}" ends it`,
    );
  }
}

/** A run that came to another end than it was started for. */
export class RunNotSucceeded extends Error {
  override readonly name = 'RunNotSucceeded';
  constructor({ id, status, failure }: Run) {
    super(`the run ${id} is ${status}${failure === null ? '' : `: ${failure}`}`);
  }
}

/**
 * Shows the run until it is over, then what came of it.
 * @param reference its number, its id, or the beginning of its id
 * @throws Interrupted, RunNotSucceeded; Error where there is no such run
 */
export async function followRun(session: Session, reference: string, options: { plot?: string }): Promise<void> {
  const run = await unlessInterrupted(reference, async (signal) => {
    const id = await patiently(() => findRunId(session.api, reference), signal);
    return untilOver(session, id, signal);
  });
  if (options.plot !== undefined) await plotRun(session, run, options.plot);
  session.result(run, describeEnd(run));
  if (run.status !== 'SUCCEEDED') throw new RunNotSucceeded(run);
}

/** @throws Interrupted on Ctrl-C, which aborts the signal of `work` */
async function unlessInterrupted<T>(reference: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const leaving = new AbortController();
  let interrupt: () => void = () => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = () => reject(new Interrupted(reference));
    process.on('SIGINT', interrupt);
  });
  try {
    return await Promise.race([work(leaving.signal), interrupted]);
  } finally {
    process.off('SIGINT', interrupt);
    leaving.abort();
  }
}

async function untilOver({ api, note }: Session, id: string, signal: AbortSignal): Promise<Run> {
  const { config } = await patiently(() => readRun(api, id), signal);
  const display = displayProgress(config.epochs, process.stderr);
  signal.addEventListener('abort', display.close);
  try {
    return await showUntilOver(api, id, display, signal);
  } catch (error) {
    display.close();
    if (error instanceof Unreachable) note(`The run is the server's: "npx residual watch ${id}" comes back to it.`);
    throw error;
  } finally {
    display.close();
  }
}

const ENDS = ['SUCCEEDED', 'FAILED', 'CANCELLED'];
const AGAIN_AFTER_MS = 1_000;

/**
 * Shows the run until it is over, however often its server is stopped or loses its database meanwhile.
 * @returns it as it ended
 * @throws ApiError, Unreachable
 */
export async function showUntilOver(
  api: ApiClient,
  id: string,
  display: ProgressDisplay,
  signal?: AbortSignal,
): Promise<Run> {
  while (!(await patiently(() => show(api, id, display), signal))) await sleep(AGAIN_AFTER_MS, undefined, { signal });
  return patiently(() => readRun(api, id), signal);
}

/** @returns whether the run is over: a server that is stopped ends the subscription as well */
async function show(api: ApiClient, id: string, display: ProgressDisplay): Promise<boolean> {
  for await (const run of watchRun(api, id)) {
    display.show(run);
    if (ENDS.includes(run.status)) return true;
  }
  return false;
}

async function plotRun({ note }: Session, run: Run, file: string): Promise<void> {
  if (run.history.length === 0) return note(`There is nothing to draw: ${run.status} before the first epoch was over.`);
  // No other command loads what draws.
  const { plotHistory } = await import('./plot-history.js');
  await writeFile(file, plotHistory(`${run.model.name}, run ${run.number}`, run.history));
  note(`Accuracy and loss over ${run.history.length} epochs: ${file}`);
}

function describeEnd(run: Run): string {
  const { evaluation, version, model } = run;
  if (run.status !== 'SUCCEEDED' || evaluation === null) return `Run ${run.number} of ${model.name}: ${run.status}.`;
  const by = `${run.engine}, ${run.precision}`;
  return [
    `Run ${run.number} (${by}) is version ${version?.version} of ${model.name}.`,
    `Evaluation on the test split: accuracy ${four(evaluation.accuracy)}, loss ${four(evaluation.loss)}.`,
    classTable(evaluation.perClass),
  ].join('\n');
}

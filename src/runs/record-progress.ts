import { HEARTBEAT_MS } from '../domain/run-state.js';
import type { Database, Transaction } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import type { EngineKind, EpochMetric, PrecisionKind, StepMetric } from '../infra/prisma/client.js';
import { cancelOwnedRun } from './finish-run.js';
import { RunLostError, writeAsOwner, type Ownership } from './own-run.js';
import { retryOutage } from './retry-outage.js';
import { announceRun } from './watch-runs.js';

export type StepRecord = Omit<StepMetric, 'runId'>;
export type EpochRecord = Omit<EpochMetric, 'runId'>;
export type LogLevel = 'info' | 'warn' | 'error';

export interface RecorderOptions {
  readonly owner: Ownership;
  readonly totalSteps: number;
  /** Ends the waiting for a database that is away. */
  readonly signal: AbortSignal;
  /** Called once, when a write was refused or the run was cancelled: this attempt must stop. */
  readonly onLost: (error: RunLostError) => void;
  /** Called with each beat while the user asks that it pauses. */
  readonly onPause: () => void;
}

/**
 * Writes what a run does, once a second: its heartbeat, how far it is, its steps and its log. Where the database is
 * away for a while everything is kept and written when it is back. What was written although no answer came is written
 * again, which changes nothing: steps, epochs and lines have numbers.
 *
 * A run whose user asks to cancel it is cancelled by the next write, in place of what that was for: however long a step
 * takes or a server is waited for, nothing comes of the run any more.
 */
export class RunRecorder {
  private steps: StepRecord[] = [];
  private lines: { line: number; at: Date; level: LogLevel; message: string }[] = [];
  private lastLine = 0;
  private latest: StepRecord | undefined;
  private start = { step: 0, at: performance.now() };
  private readonly timer: NodeJS.Timeout;
  /** Ends when everything asked for so far is written; never rejects. */
  private turns: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private over = false;

  constructor(
    private readonly deps: { readonly database: Database; readonly events: EventBus },
    private readonly options: RecorderOptions,
  ) {
    this.timer = setInterval(() => this.beat(), HEARTBEAT_MS);
  }

  /** Training begins, after so many steps of earlier attempts. */
  begin(step: number): void {
    this.start = { step, at: performance.now() };
  }

  step(metrics: StepRecord): void {
    this.steps.push(metrics);
    this.latest = metrics;
  }

  log(level: LogLevel, message: string): void {
    this.lines.push({ line: ++this.lastLine, at: new Date(), level, message });
  }

  /** @throws RunLostError */
  async epoch(metrics: EpochRecord): Promise<void> {
    const row = { runId: this.options.owner.runId, ...metrics };
    // After an outage the row may be there although the answer never came.
    await this.write((transaction) => transaction.epochMetric.createMany({ data: [row], skipDuplicates: true }));
  }

  /** What computes it, and with how many threads where that is ours to say. @throws RunLostError */
  async engine(engine: EngineKind, precision: PrecisionKind, threads: number | null): Promise<void> {
    const { runId } = this.options.owner;
    await this.write((transaction) =>
      transaction.trainingRun.update({ where: { id: runId }, data: { engine, precision, threads } }),
    );
  }

  /** What else only the owner may write, behind what is waiting; over outages, until `signal`. @throws RunLostError */
  write<T>(more: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.inTurn(() => retryOutage(() => this.flush(more), this.options.signal));
  }

  /** Writes what is left together with `last`, which takes the run out of this worker's hands. @throws RunLostError */
  async end<T>(last: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.inTurn(() =>
      retryOutage(async () => {
        const result = await this.flush(last);
        clearInterval(this.timer);
        this.over = true;
        return result;
      }, this.options.signal),
    );
  }

  /** Safe to call twice, and after `end`. Lets what is being written come to its end. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    this.over = true;
    await this.turns;
  }

  /** What fails is kept for the next beat; the fence tells of a loss. */
  private beat(): void {
    if (this.waiting === 0 && !this.over) this.inTurn(() => this.flush(nothing)).catch(() => undefined);
  }

  /** One write after the other, in the order they were asked for. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.waiting++;
    const turn = this.turns.then(work).finally(() => this.waiting--);
    this.turns = turn.catch(() => undefined);
    return turn;
  }

  private async flush<T>(more: (transaction: Transaction) => Promise<T>): Promise<T> {
    const { steps, lines } = this;
    const [written, writtenLines] = [steps.length, lines.length];
    try {
      const { owner } = this.options;
      const outcome = await writeAsOwner(this.deps.database, owner, async (transaction) => {
        const asked = await this.writeProgress(transaction, steps.slice(0, written), lines.slice(0, writtenLines));
        if (asked !== 'CANCEL') return { asked, result: await more(transaction) };
        await this.cancel(transaction);
        return { asked };
      });
      this.steps = this.steps.slice(written);
      this.lines = this.lines.slice(writtenLines);
      await announceRun(this.deps.events, owner.runId);
      if (outcome.asked === 'CANCEL') throw new RunLostError(owner);
      if (outcome.asked === 'PAUSE') this.options.onPause();
      return outcome.result;
    } catch (error) {
      if (error instanceof RunLostError && !this.over) {
        this.over = true;
        this.options.onLost(error);
      }
      throw error;
    }
  }

  private async cancel(transaction: Transaction): Promise<void> {
    const { runId, attempt } = this.options.owner;
    const line = { line: ++this.lastLine, level: 'info', message: 'cancelled' };
    await transaction.logLine.create({ data: { runId, attempt, ...line } });
    await cancelOwnedRun({ database: transaction }, this.options.owner);
  }

  /** @returns what the user asks of the run */
  private async writeProgress(
    transaction: Transaction,
    steps: readonly StepRecord[],
    lines: RunRecorder['lines'],
  ): Promise<'RUN' | 'PAUSE' | 'CANCEL'> {
    const { runId, attempt } = this.options.owner;
    const { requestedState } = await transaction.trainingRun.update({
      where: { id: runId },
      data: { ...(this.latest && { step: this.latest.step, epoch: this.latest.epoch }), etaSeconds: this.etaSeconds() },
      select: { requestedState: true },
    });
    if (steps.length > 0) await insertSteps(transaction, runId, steps);
    const data = lines.map((line) => ({ runId, attempt, ...line }));
    if (data.length > 0) await transaction.logLine.createMany({ data, skipDuplicates: true });
    return requestedState;
  }

  /** By this attempt's pace, validation included. */
  private etaSeconds(): number | null {
    const step = this.latest?.step ?? this.start.step;
    if (step === this.start.step) return null;
    const seconds = (performance.now() - this.start.at) / 1000;
    return (seconds / (step - this.start.step)) * (this.options.totalSteps - step);
  }
}

/**
 * Column by column: `createMany` compiles each row's every value anew, and a worker's event loop takes its time from
 * the cores that train.
 */
async function insertSteps(transaction: Transaction, runId: string, steps: readonly StepRecord[]): Promise<void> {
  const column = (name: keyof StepRecord) => steps.map((step) => step[name]);
  await transaction.$executeRaw`
    INSERT INTO "StepMetric" ("runId", step, epoch, loss, accuracy, "learningRate", "imagesPerSecond")
    SELECT ${runId}, * FROM unnest(
      ${column('step')}::int[], ${column('epoch')}::int[], ${column('loss')}::float8[], ${column('accuracy')}::float8[],
      ${column('learningRate')}::float8[], ${column('imagesPerSecond')}::float8[])
    ON CONFLICT DO NOTHING`;
}

const nothing = async () => undefined;

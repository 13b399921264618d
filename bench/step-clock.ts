import type { Batch, Engine, SessionOptions, StepResult, TrainingSession } from '../src/training/engine.js';
import type { Graph, TensorMap } from '../src/domain/network/graph.js';

const WARM_UP_STEPS = 3;

/**
 * Stands between a loop and its engine and counts: how many images were trained from the first step after the warm-up
 * until the first step that began `seconds` later. Everything that the loop does between steps lies in that time.
 */
export class StepClock {
  private steps = 0;
  private images = 0;
  private start = 0;
  private inSteps = 0;
  private over: Timed | undefined;

  /** @param onOver called once, when the time is over */
  constructor(
    private readonly seconds: number,
    private readonly onOver: () => void,
  ) {}

  /** The same engine, whose sessions' steps are counted. */
  watch(engine: Engine): Engine {
    return {
      ...engine,
      open: async (graph: Graph, initial: TensorMap, options: SessionOptions) =>
        this.count(await engine.open(graph, initial, options)),
    };
  }

  /** @throws Error where the loop ended before the time was over. */
  get timed(): Timed {
    if (!this.over) throw new Error(`the loop ended after ${this.steps} steps, before ${this.seconds} s were over`);
    return this.over;
  }

  private count(session: TrainingSession): TrainingSession {
    const step = session.step.bind(session);
    session.step = async (batch: Batch, learningRate: number): Promise<StepResult> => {
      const before = performance.now();
      this.begin(before);
      const result = await step(batch, learningRate);
      this.images += batch.size;
      this.inSteps += performance.now() - before;
      return result;
    };
    return session;
  }

  private begin(now: number): void {
    if (++this.steps <= WARM_UP_STEPS + 1) {
      this.start = now;
      this.images = this.inSteps = 0;
    } else if (!this.over && now - this.start >= this.seconds * 1000) {
      const seconds = (now - this.start) / 1000;
      const steps = this.steps - WARM_UP_STEPS - 1;
      this.over = { images: this.images, seconds, steps, betweenSteps: 1 - this.inSteps / 1000 / seconds };
      this.onOver();
    }
  }
}

export interface Timed {
  readonly images: number;
  readonly seconds: number;
  readonly steps: number;
  /** Share of the time in which no step was under way. */
  readonly betweenSteps: number;
}

import { describe, expect, it } from 'vitest';
import { decideHalving, rungEpochs, type Contestant, type HalvingRules } from '../../../src/domain/halving.js';
import type { RunStatus } from '../../../src/domain/run-state.js';
import { CounterRandom, permutation } from '../../../src/domain/seed.js';

const RULES: HalvingRules = { rungs: [1, 3], reductionFactor: 3, largerIsBetter: true };

const waiting = (trial: number, ...results: number[]): Contestant =>
  ({ trial, status: 'PAUSED', target: results.length - 1, results });
const queued = (trial: number): Contestant => ({ trial, status: 'QUEUED', target: 0, results: [] });
const promoted = (contestants: Contestant[], rules = RULES) =>
  decideHalving(contestants, rules).promote.map(({ contestant, rung }) => [contestant.trial, rung]);
const dropped = (contestants: Contestant[], rules = RULES) =>
  decideHalving(contestants, rules).drop.map(({ contestant, rung }) => [contestant.trial, rung]);

describe('rungEpochs', () => {
  it.each([
    [1, 3, 9, [1, 3]],
    [1, 3, 10, [1, 3]],
    [1, 3, 16, [1, 3, 9]],
    [1, 4, 16, [1, 4]],
    [2, 2, 16, [2, 4, 8]],
    [1, 3, 1, []],
    [1, 3, 2, [1]],
    [5, 3, 5, []],
  ])('from %i by %i to %i epochs: %j', (minEpochs, factor, epochs, rungs) => {
    expect(rungEpochs(minEpochs, factor, epochs)).toEqual(rungs);
  });
});

describe('decideHalving, by hand', () => {
  const rest = [4, 5, 6, 7, 8, 9].map(queued);

  it('promotes nobody before a third of a rung is at least one', () => {
    expect(promoted([waiting(1, 0.5), waiting(2, 0.9), queued(3), ...rest])).toEqual([]);
  });

  it('promotes the best of three, and the next of six only if the first third does not hold it yet', () => {
    const three = [waiting(1, 0.5), waiting(2, 0.9), waiting(3, 0.7), ...rest];
    expect(promoted(three)).toEqual([[2, 0]]);
    const gone: Contestant = { trial: 2, status: 'QUEUED', target: 1, results: [0.9] };
    const six = [waiting(1, 0.5), gone, waiting(3, 0.7), waiting(4, 0.6), waiting(5, 0.2), waiting(6, 0.1), ...rest.slice(3)];
    expect(promoted(six)).toEqual([[3, 0]]);
    // Already the third of what can only be three of nine: the others may still pass it, so it waits. Trial 1 is out, and
    // in reserve.
    expect(dropped(six)).toEqual([[5, 0], [6, 0]]);
  });

  it('lets smaller be better where the metric is a loss', () => {
    expect(promoted([waiting(1, 0.5), waiting(2, 0.9), waiting(3, 0.7), ...rest], { ...RULES, largerIsBetter: false })).toEqual([[1, 0]]);
  });

  it('counts a trial that failed as the worst of its rung', () => {
    const failed: Contestant = { trial: 3, status: 'FAILED', target: 0, results: [] };
    expect(promoted([waiting(1, 0), waiting(2, 0.1), failed, ...rest])).toEqual([[2, 0]]);
    expect(promoted([waiting(1, 8), waiting(2, 9), failed, ...rest], { ...RULES, largerIsBetter: false })).toEqual([[1, 0]]);
  });

  it('of two equals takes the one that was started first', () => {
    expect(promoted([waiting(3, 0.5), waiting(1, 0.5), waiting(2, 0.5), ...rest])).toEqual([[1, 0]]);
  });

  it('trains one trial to its end however few there are', () => {
    expect(promoted([waiting(1, 0.5), waiting(2, 0.9)])).toEqual([[2, 0]]);
    const alone: Contestant = { trial: 2, status: 'PAUSED', target: 1, results: [0.9, 0.95] };
    expect(promoted([{ trial: 1, status: 'CANCELLED', target: 0, results: [0.5] }, alone])).toEqual([[2, 1]]);
  });

  it('keeps the best of those that are out in reserve until one has succeeded, and takes it where all before it failed', () => {
    const others = [waiting(1, 0.5), waiting(3, 0.1)];
    const best = (status: RunStatus): Contestant => ({ trial: 2, status, target: 2, results: [0.9, 0.95] });
    expect(promoted([...others, best('RUNNING')])).toEqual([]);
    expect(dropped([...others, best('RUNNING')])).toEqual([[3, 0]]);
    expect(dropped([...others, best('SUCCEEDED')])).toEqual([[1, 0], [3, 0]]);
    expect(promoted([...others, best('FAILED')])).toEqual([[1, 0]]);
    // One that came further is the better reserve.
    expect(dropped([others[0]!, waiting(4, 0.6, 0.7), best('RUNNING')])).toEqual([[1, 0]]);
  });

  it('leaves a trial alone that was paused by hand, and waits for it', () => {
    const byHand: Contestant = { trial: 1, status: 'PAUSED', target: 0, results: [] };
    expect(decideHalving([byHand, waiting(2, 0.9)], RULES)).toEqual({ promote: [], drop: [] });
  });

  it('takes the next best where the best was cancelled by hand', () => {
    const cancelled: Contestant = { trial: 2, status: 'CANCELLED', target: 0, results: [0.9] };
    expect(promoted([waiting(1, 0.5), cancelled, waiting(3, 0.1)])).toEqual([[1, 0]]);
  });

  it('says what it goes by', () => {
    const { promote, drop } = decideHalving([waiting(1, 0.5), waiting(2, 0.9), waiting(3, 0.7)], RULES);
    expect(promote).toMatchObject([{ rung: 0, rank: 1, of: 3 }]);
    expect(drop).toMatchObject([{ rung: 0, rank: 3, of: 3 }]);
  });
});

/** A table of trials, and workers that take the highest rung first, as the queue's priorities make them. */
class Simulation {
  readonly jobs: string[] = [];
  readonly table: (Contestant & { status: RunStatus; target: number; results: number[] })[];

  constructor(
    private readonly scores: readonly number[],
    private readonly rules: HalvingRules,
    private readonly failsAt: (trial: number, rung: number) => boolean = () => false,
  ) {
    this.table = scores.map((_, index) => ({ trial: index + 1, status: 'QUEUED', target: 0, results: [] }));
  }

  /** Until nothing moves; `pick` says which of the trials that train is through first. */
  run(workers: number, pick: (running: number) => number): this {
    const running: Contestant[] = [];
    for (;;) {
      this.decide();
      const queue = () => this.table.filter(({ status }) => status === 'QUEUED');
      const next = () => queue().toSorted((a, b) => b.target - a.target || a.trial - b.trial)[0];
      for (let job = next(); job && running.length < workers; job = next()) {
        job.status = 'RUNNING';
        running.push(job);
        this.jobs.push(`${job.trial}→${job.target}`);
      }
      const [done] = running.splice(pick(running.length), 1);
      if (!done) return this;
      this.complete(done.trial);
    }
  }

  private complete(trial: number): void {
    const row = this.table[trial - 1]!;
    if (this.failsAt(trial, row.target)) row.status = 'FAILED';
    else if (row.target === this.rules.rungs.length) row.status = 'SUCCEEDED';
    else {
      row.status = 'PAUSED';
      row.results.push(this.scores[trial - 1]!);
    }
  }

  /** Twice: what was decided already is not decided again. */
  private decide(): void {
    for (let time = 0; time < 2; time++) {
      const { promote, drop } = decideHalving(this.table, this.rules);
      if (time === 1) expect({ promote, drop }).toEqual({ promote: [], drop: [] });
      for (const { contestant, rung } of promote) Object.assign(contestant, { status: 'QUEUED', target: rung + 1 });
      for (const { contestant } of drop) Object.assign(contestant, { status: 'CANCELLED' });
    }
  }
}

const drawScores = (size: number, seed: number) => [...permutation(seed, 1, 0, size)].map((place) => place / size);

/** Algorithm 2 of the paper for one worker, to the letter, until `trials` have begun and nothing is promotable. */
function paper(scores: readonly number[], rungs: number, eta: number): string[] {
  const done: number[][] = Array.from({ length: rungs + 1 }, () => []);
  const left: Set<number>[] = Array.from({ length: rungs + 1 }, () => new Set());
  const jobs: string[] = [];
  let begun = 0;
  const getJob = (): [trial: number, rung: number] | undefined => {
    for (let k = rungs - 1; k >= 0; k--) {
      const top = done[k]!.toSorted((a, b) => scores[b - 1]! - scores[a - 1]!).slice(0, Math.floor(done[k]!.length / eta));
      const [promotable] = top.filter((trial) => !left[k]!.has(trial)).toSorted((a, b) => a - b);
      if (promotable === undefined) continue;
      left[k]!.add(promotable);
      return [promotable, k + 1];
    }
    return begun < scores.length ? [++begun, 0] : undefined;
  };
  for (let job = getJob(); job; job = getJob()) {
    jobs.push(job.join('→'));
    done[job[1]]!.push(job[0]);
  }
  return jobs;
}

describe('decideHalving, simulated', () => {
  it.each([1, 2, 3, 4, 5])('one worker does what algorithm 2 of the paper does (scores %i)', (seed) => {
    const rules = { rungs: [1, 3, 9], reductionFactor: 3, largerIsBetter: true };
    const scores = drawScores(81, seed);
    const { jobs } = new Simulation(scores, rules).run(1, () => 0);
    const expected = paper(scores, 3, 3);
    expect(jobs.slice(0, expected.length)).toEqual(expected);
    expect(jobs.length - expected.length).toBeLessThanOrEqual(1);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('in whatever order trials come in, the search ends and the best is among the finished (%i)', (seed) => {
    const random = new CounterRandom(seed, 1, 0);
    const workers = 1 + random.integer(5);
    const size = 2 + random.integer(40);
    const scores = drawScores(size, seed + 100);
    const { table } = new Simulation(scores, RULES).run(workers, (running) => random.integer(running));
    expect(table.filter(({ status }) => !['SUCCEEDED', 'CANCELLED'].includes(status))).toEqual([]);
    const finished = table.filter(({ status }) => status === 'SUCCEEDED').map(({ trial }) => scores[trial - 1]!);
    expect(Math.max(...finished)).toBe(Math.max(...scores));
    // Of each rung, those that were let go are worse than its best third.
    RULES.rungs.forEach((_, rung) => {
      const here = table.filter(({ results }) => results.length > rung).toSorted((a, b) => b.results[rung]! - a.results[rung]!);
      const share = here.slice(0, Math.max(1, Math.floor(here.length / 3)));
      expect(share.filter(({ status, results }) => status === 'CANCELLED' && results.length === rung + 1)).toEqual([]);
    });
  });

  it('trials that fail on their way do not keep the others from ending', () => {
    const { table } = new Simulation(drawScores(20, 3), RULES, (trial) => trial % 3 === 0).run(3, () => 0);
    expect(table.every(({ status }) => ['SUCCEEDED', 'CANCELLED', 'FAILED'].includes(status))).toBe(true);
    expect(table.some(({ status }) => status === 'SUCCEEDED')).toBe(true);
  });

  it.each([1, 2])('where the best %i fail after their last rung, the next one trains to its end', (failing) => {
    const scores = drawScores(20, 3);
    const best = scores.map((_, index) => index + 1).toSorted((a, b) => scores[b - 1]! - scores[a - 1]!);
    const fails = (trial: number, rung: number) => rung === RULES.rungs.length && best.slice(0, failing).includes(trial);
    const { table } = new Simulation(scores, RULES, fails).run(3, () => 0);
    const ended = (status: RunStatus) => table.filter((row) => row.status === status).map(({ trial }) => trial);
    expect(ended('FAILED').toSorted()).toEqual(best.slice(0, failing).toSorted());
    expect(ended('SUCCEEDED')).toContain(best[failing]);
    expect(ended('FAILED').length + ended('SUCCEEDED').length + ended('CANCELLED').length).toBe(20);
  });

  it('where every trial fails, every trial has failed', () => {
    const { table } = new Simulation(drawScores(5, 3), RULES, () => true).run(2, () => 0);
    expect(table.every(({ status }) => status === 'FAILED')).toBe(true);
  });
});

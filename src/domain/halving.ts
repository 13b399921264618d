import { isFinished, type RunStatus } from './run-state.js';

/**
 * ASHA, asynchronous successive halving: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys
 * 2020, algorithm 2. Trials train to a rung and wait there; one that is in the best 1/reductionFactor of those that
 * completed its rung trains on to the next. None waits for a whole rung, so no worker idles while trials are left.
 *
 * Two things are added, since the number of trials here is finite and one that waits keeps its checkpoint:
 * - A rung that nobody can reach any more lets its best trial go on even where the share comes to less than one, and
 *   another where that one fails, so that every search trains one trial to its end as long as one is left.
 * - A trial that cannot come into the best share any more, whatever the others do, is let go at once, except for the
 *   best of them at the highest rung: that one stays in reserve until a trial has trained to its end.
 *
 * Everything here is a function of what the trials' rows say: whichever process asks next decides alike.
 */
export interface Contestant {
  /** From 1, in the order of their start: of two equals the first is better. */
  readonly trial: number;
  readonly status: RunStatus;
  /** The rung, from 0, at which it is to pause; the number of rungs where it trains to its end. */
  readonly target: number;
  /** Its metric at each rung that it completed. */
  readonly results: readonly number[];
}

export interface HalvingRules {
  /** Complete epochs of each rung. */
  readonly rungs: readonly number[];
  readonly reductionFactor: number;
  readonly largerIsBetter: boolean;
}

/** What becomes of a trial that waits at a rung: why, in numbers. */
export interface Verdict<C extends Contestant> {
  readonly contestant: C;
  readonly rung: number;
  /** From 1, among `of` that completed the rung or failed on their way to it. */
  readonly rank: number;
  readonly of: number;
}

export interface Decision<C extends Contestant> {
  readonly promote: readonly Verdict<C>[];
  readonly drop: readonly Verdict<C>[];
}

/**
 * The epochs at which trials are compared: minEpochs times the powers of the reduction factor, below `epochs`. The last
 * is left out where it is so near the end that stopping there would save little: nearer than half the way between two
 * rungs, by orders of magnitude.
 */
export function rungEpochs(minEpochs: number, reductionFactor: number, epochs: number): number[] {
  const rungs: number[] = [];
  for (let rung = minEpochs; rung * Math.sqrt(reductionFactor) <= epochs; rung *= reductionFactor) rungs.push(rung);
  return rungs;
}

/** Who goes on and who is let go, now. */
export function decideHalving<C extends Contestant>(contestants: readonly C[], rules: HalvingRules): Decision<C> {
  const out = new Set(contestants.filter(({ status }) => isFinished(status)));
  // From the bottom: whom a lower rung lets go cannot reach a higher one any more.
  const decisions = rules.rungs.map((_, rung) => {
    const decision = decideRung(contestants, rung, rules, out);
    for (const { contestant } of decision.drop) out.add(contestant);
    return decision;
  });
  const reserve = contestants.some(({ status }) => status === 'SUCCEEDED')
    ? undefined
    : decisions.findLast(({ drop }) => drop.length > 0)?.drop[0];
  return {
    promote: decisions.flatMap(({ promote }) => promote),
    drop: decisions.flatMap(({ drop }) => drop).filter((verdict) => verdict !== reserve),
  };
}

/** @param out those who stay where they are for good */
function decideRung<C extends Contestant>(
  contestants: readonly C[],
  rung: number,
  { reductionFactor, largerIsBetter }: HalvingRules,
  out: ReadonlySet<C>,
): Decision<C> {
  const ranked = contestants.filter((one) => hasTried(one, rung)).toSorted(byResult(rung, largerIsBetter));
  const toCome = contestants.filter((one) => !out.has(one) && one.results.length <= rung).length;
  const share = Math.floor(ranked.length / reductionFactor);
  const most = Math.max(1, Math.floor((ranked.length + toCome) / reductionFactor));

  const verdicts = ranked.map((contestant, index) => ({ contestant, rung, rank: index + 1, of: ranked.length }));
  const waiting = verdicts.filter(({ contestant }) => isWaiting(contestant, rung));
  const best = waiting.filter(({ rank }) => rank <= (toCome === 0 ? most : share));
  const wentOn = ranked.some((one) => one.status === 'SUCCEEDED' || (one.target > rung && !out.has(one)));
  // Those that went on may have failed, and the best may have been cancelled by hand: then the best of those left.
  const promote = best.length === 0 && toCome === 0 && !wentOn ? waiting.slice(0, 1) : best;
  return { promote, drop: waiting.filter((verdict) => verdict.rank > most && !promote.includes(verdict)) };
}

/** It completed the rung, or failed on its way to it. */
const hasTried = ({ status, results }: Contestant, rung: number) =>
  results.length > rung || (status === 'FAILED' && results.length === rung);

/** Neither training on already, nor paused by hand before it got there. */
const isWaiting = ({ status, target, results }: Contestant, rung: number) =>
  status === 'PAUSED' && target === rung && results.length === rung + 1;

/** The best first; those that failed have no result and are last. */
function byResult(rung: number, largerIsBetter: boolean): (a: Contestant, b: Contestant) => number {
  const worst = largerIsBetter ? -Infinity : Infinity;
  const resultOf = ({ results }: Contestant) => results[rung] ?? worst;
  return (a, b) => {
    const [x, y] = [resultOf(a), resultOf(b)];
    if (x === y) return a.trial - b.trial;
    return x > y === largerIsBetter ? -1 : 1;
  };
}

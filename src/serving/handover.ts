import type { ResolvedVersion } from '../registry/resolve.js';
import { servedKey } from './load-model.js';

/** What a handover needs of the models in memory. */
export interface HandoverModels {
  isReady(version: ResolvedVersion): boolean;
  /** Whether there is memory for both, if nothing else has any. */
  fitTogether(one: ResolvedVersion, other: ResolvedVersion): boolean;
  /** Loads `next`, and keeps `current` in memory until that has come to its end. */
  warm(next: ResolvedVersion, current: ResolvedVersion): Promise<void>;
}

interface Refusal {
  readonly retryAtMs: number;
  readonly pauseMs: number;
}

/** References whose last version is remembered. */
const MAX_REFERENCES = 1_000;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

/**
 * A reference (`name`, `name@alias`) that moves goes on to be answered by the version before, until the new one is in
 * memory and has computed once. A new version that cannot be loaded is tried again after a second, two, four … up to a
 * minute; until then the version before answers. Where the budget has no room for both, the one before goes first.
 */
export class Handover {
  /** What answered last, by the reference's text; the one asked for longest ago first. */
  readonly #serving = new Map<string, ResolvedVersion>();
  /** By `servedKey`. */
  readonly #refused = new Map<string, Refusal>();
  readonly #warming = new Set<string>();

  constructor(private readonly models: HandoverModels) {}

  /** References that answer from memory, each with what answers. */
  get inMemory(): [reference: string, version: ResolvedVersion][] {
    return [...this.#serving].filter(([, version]) => this.models.isReady(version));
  }

  /** What answers where `wanted` is what the reference means by now. */
  choose(reference: string, wanted: ResolvedVersion): ResolvedVersion {
    const current = this.#serving.get(reference);
    if (current === undefined || isSame(current, wanted) || current.modelId !== wanted.modelId) return wanted;
    if (this.models.isReady(wanted)) return wanted;
    if (this.#mustWait(wanted)) return current;
    if (!this.models.isReady(current) || !this.models.fitTogether(current, wanted)) return wanted;
    void this.#warm(wanted, current);
    return current;
  }

  answered(reference: string, version: ResolvedVersion): void {
    this.#refused.delete(servedKey(version));
    this.#serving.delete(reference);
    this.#serving.set(reference, version);
    const [oldest] = this.#serving.keys();
    if (this.#serving.size > MAX_REFERENCES) this.#serving.delete(oldest!);
  }

  /** The reference means nothing any more. */
  forget(reference: string): void {
    this.#serving.delete(reference);
  }

  /** @returns what answers in place of a version that could not be loaded, if the reference meant another before */
  refuse(reference: string, version: ResolvedVersion): ResolvedVersion | undefined {
    const current = this.#serving.get(reference);
    if (current === undefined || isSame(current, version) || current.modelId !== version.modelId) return undefined;
    this.#noteRefusal(version);
    return current;
  }

  async #warm(next: ResolvedVersion, current: ResolvedVersion): Promise<void> {
    const key = servedKey(next);
    if (this.#warming.has(key)) return;
    this.#warming.add(key);
    try {
      await this.models.warm(next, current);
      this.#refused.delete(key);
    } catch {
      // The cache tells why, to the log and in its states.
      this.#noteRefusal(next);
    }
    this.#warming.delete(key);
  }

  #noteRefusal(version: ResolvedVersion): void {
    const key = servedKey(version);
    const pauseMs = Math.min(2 * (this.#refused.get(key)?.pauseMs ?? FIRST_PAUSE_MS / 2), MAX_PAUSE_MS);
    this.#refused.set(key, { pauseMs, retryAtMs: performance.now() + pauseMs });
  }

  #mustWait(version: ResolvedVersion): boolean {
    const refusal = this.#refused.get(servedKey(version));
    return refusal !== undefined && performance.now() < refusal.retryAtMs;
  }
}

const isSame = (one: ResolvedVersion, other: ResolvedVersion) => servedKey(one) === servedKey(other);

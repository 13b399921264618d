/**
 * Answers that may be `ttlMs` old. Serving asks the registry again after that instead of being told of a change
 * (docs/architecture.md, current c), and one question is under way however many ask. A failure is not kept.
 */
export class BriefCache<T> {
  readonly #answers = new Map<string, { readonly askedAt: number; readonly answer: Promise<T> }>();

  constructor(
    private readonly ttlMs: number,
    private readonly ask: (key: string) => Promise<T>,
  ) {}

  get(key: string): Promise<T> {
    const now = performance.now();
    const known = this.#answers.get(key);
    if (known !== undefined && now - known.askedAt < this.ttlMs) return known.answer;
    this.#dropOld(now);
    return this.#askNow(key, now);
  }

  /** Asks although there is an answer; it is what `get` gives from now on. */
  refresh(key: string): Promise<T> {
    return this.#askNow(key, performance.now());
  }

  #askNow(key: string, now: number): Promise<T> {
    const asked = { askedAt: now, answer: this.ask(key) };
    this.#answers.set(key, asked);
    asked.answer.catch(() => {
      if (this.#answers.get(key) === asked) this.#answers.delete(key);
    });
    return asked.answer;
  }

  #dropOld(now: number): void {
    for (const [key, { askedAt }] of this.#answers) if (now - askedAt >= this.ttlMs) this.#answers.delete(key);
  }
}

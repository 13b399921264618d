import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { FaultyServer } from './faulty-servers.js';
import type { GraphQLAnswer, TestPlatform } from './platform.js';
import { ask, readRun, until } from './training.js';
import { expectWhole, resultOf } from './whole-run.js';

/** Training while servers fail, as a user sees it: what was promised is held, and nothing else is asked of it. */

export const EPOCHS = 12;
const STEPS_PER_EPOCH = 13;
const INPUT = {
  model: 'tiny', dataset: 'shapes', epochs: EPOCHS, batchSize: 16, seed: 3,
  optimizer: { learningRate: 0.05 }, precision: 'FLOAT32',
}; // prettier-ignore

export interface Fault {
  readonly server: FaultyServer;
  /** Frozen (SIGSTOP … SIGCONT), or killed (SIGKILL … started again). */
  readonly manner: 'frozen' | 'killed';
  readonly seconds: number;
}

/** Causes the fault, does `meanwhile`, and mends it once the time is over. */
export async function suffer({ server, manner, seconds }: Fault, meanwhile: () => Promise<void> = async () => undefined): Promise<void> {
  const until = performance.now() + seconds * 1000;
  await (manner === 'frozen' ? server.freeze() : server.kill());
  try {
    await meanwhile();
    await sleep(Math.max(0, until - performance.now()));
  } finally {
    await (manner === 'frozen' ? server.thaw() : server.restart());
  }
}

/** A client that starts equal runs whatever happens, asking again with the same key until it is told the run's id. */
export class StubbornClient {
  private readonly asked: Promise<string>[] = [];

  constructor(
    private readonly platform: TestPlatform,
    private readonly tag: string,
  ) {}

  startRun(): void {
    const idempotencyKey = `${this.tag}-${this.asked.length}`;
    const asked = this.ask({ ...INPUT, tags: [this.tag], idempotencyKey });
    // Told when the outcomes are asked for.
    asked.catch(() => undefined);
    this.asked.push(asked);
  }

  /** Each run, once it is over; asserts that there are just these, and of each one version. */
  async outcomes(timeoutMs: number): Promise<unknown[]> {
    const ids = await Promise.all(this.asked);
    const listed = async () => {
      const { data } = await this.platform.graphql(RUNS, { tag: this.tag });
      return data?.runs as { totalCount: number; nodes: { id: string; status: string }[] } | undefined;
    };
    const isOver = ({ status }: { status: string }) => ['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(status);
    await until(async () => (await listed())?.nodes.every(isOver) ?? false, timeoutMs, 250);
    const { totalCount, nodes } = (await listed())!;
    expect(nodes.map(({ id }) => id).sort()).toEqual([...ids].sort());
    expect(totalCount).toBe(ids.length);
    const runs = await Promise.all(ids.map((id) => readRun(this.platform, id)));
    for (const run of runs) expectWhole(run, EPOCHS, STEPS_PER_EPOCH);
    expect(new Set(runs.map((run) => run.version.version)).size).toBe(runs.length);
    return runs.map(resultOf);
  }

  private whyNot({ errors }: GraphQLAnswer): string {
    const logged = this.platform.api.said().split('\n').filter((line) => line.includes('failed unexpectedly'));
    return `${JSON.stringify(errors)}: ${logged.at(-1)}`;
  }

  private async ask(input: object): Promise<string> {
    for (;;) {
      const answer = await this.platform.graphql(START, { input }).catch(() => undefined);
      if (answer?.data) return answer.data.startTraining.id;
      if (answer && answer.errors![0]!.extensions.code !== 'SERVICE_UNAVAILABLE') throw new Error(this.whyNot(answer));
      await sleep(300);
    }
  }
}

/** What is published can be had: each artifact's bytes are what their hash says. */
export async function expectArtifactsWhole(platform: TestPlatform): Promise<void> {
  const { model } = await ask(platform, VERSIONS);
  for (const { artifacts } of model.versions.nodes)
    for (const { kind, sha256, downloadUrl } of artifacts) {
      const bytes = await (await fetch(downloadUrl)).arrayBuffer();
      const digest = Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
      expect(digest, kind).toBe(sha256);
    }
}

const START = 'mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id } }';
const RUNS = 'query ($tag: String!) { runs(tag: $tag, first: 100) { totalCount nodes { id status } } }';
const VERSIONS = `{ model(name: "tiny") { versions(first: 100) { nodes { artifacts { kind sha256 downloadUrl } } } } }`;

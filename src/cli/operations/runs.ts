import type { ApiClient } from '../client.js';
import type { RunProgress } from '../training-progress.js';

/** What is asked of the API about runs, as any client would. */

/** A run of that model with that tag that a demo before left unfinished; the platform goes on with it by itself. */
export async function findUnfinishedRun(api: ApiClient, model: string, tag: string): Promise<string | null> {
  const query = `query ($model: String, $tag: String) {
    runs(first: 1, model: $model, tag: $tag, status: [QUEUED, RUNNING]) { nodes { id } }
  }`;
  const { runs } = await api.request<{ runs: { nodes: { id: string }[] } }>(query, { model, tag });
  return runs.nodes[0]?.id ?? null;
}

/** What a run is known by. */
export interface StartedRun {
  readonly id: string;
  readonly number: number;
}

export async function startTraining(api: ApiClient, input: Record<string, unknown>): Promise<StartedRun> {
  const mutation = 'mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id number } }';
  return (await api.request<{ startTraining: StartedRun }>(mutation, { input })).startTraining;
}

/** At once, then as it goes on, then the end. */
export async function* watchRun(api: ApiClient, id: string): AsyncIterable<RunProgress> {
  const subscription = `subscription ($id: ID!) {
    runProgress(id: $id) {
      status epoch progress etaSeconds steps(maxPoints: 1) { loss accuracy imagesPerSecond }
    }
  }`;
  const answers = api.subscribe<{ runProgress: RunProgress }>(subscription, { id });
  for await (const { runProgress } of answers) yield runProgress;
}

export interface EpochMetrics {
  /** 1-based. */
  readonly epoch: number;
  readonly trainLoss: number;
  readonly trainAccuracy: number;
  readonly validationLoss: number;
  readonly validationAccuracy: number;
  readonly imagesPerSecond: number;
}

export interface ClassMetrics {
  readonly className: string;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly support: number;
}

export interface Evaluation {
  readonly loss: number;
  readonly accuracy: number;
  readonly perClass: readonly ClassMetrics[];
}

export interface RunSummary {
  readonly id: string;
  readonly number: number;
  readonly status: string;
  readonly failure: string | null;
  readonly progress: number;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly tags: readonly string[];
  readonly model: { readonly name: string };
  readonly dataset: { readonly name: string; readonly version: number };
  readonly version: { readonly version: number } | null;
  readonly evaluation: { readonly loss: number; readonly accuracy: number } | null;
}

export interface Run extends RunSummary {
  readonly engine: string | null;
  readonly precision: string | null;
  /** The whole normalised input. */
  readonly config: { readonly epochs: number };
  readonly history: readonly EpochMetrics[];
  readonly evaluation: Evaluation | null;
}

const SUMMARY = `id number status failure progress createdAt startedAt finishedAt tags
  model { name } dataset { name version } version { version }`;
const RUN = `${SUMMARY} engine precision config
  history { epoch trainLoss trainAccuracy validationLoss validationAccuracy imagesPerSecond }
  evaluation { loss accuracy perClass { className precision recall f1 support } }`;

export async function readRun(api: ApiClient, id: string): Promise<Run> {
  const query = `query ($id: ID!) { run(id: $id) { ${RUN} } }`;
  const { run } = await api.request<{ run: Run | null }>(query, { id });
  if (run === null) throw new Error(`there is no run ${id}`);
  return run;
}

/** As the API writes it: nothing has to be looked for. */
const WHOLE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** As git has it. */
const SHORTEST_BEGINNING = 4;

/**
 * The id of the run that is meant by its number, its id, or the beginning of an id that no other run has.
 * @throws Error where it means none, or several
 */
export async function findRunId(api: ApiClient, reference: string): Promise<string> {
  if (WHOLE_ID.test(reference)) return reference;
  const matching: string[] = [];
  for await (const { number, id } of everyRun(api)) {
    if (String(number) === reference) return id;
    if (reference.length >= SHORTEST_BEGINNING && id.startsWith(reference)) matching.push(id);
  }
  const [found] = matching;
  if (found === undefined) throw new Error(`there is no run ${reference}`);
  if (matching.length === 1) return found;
  throw new Error(`the ids of ${matching.length} runs begin with ${reference}: give more of it, or the run's number`);
}

interface NamedRuns {
  readonly nodes: readonly { readonly number: number; readonly id: string }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

/** The newest first. */
async function* everyRun(api: ApiClient): AsyncIterable<NamedRuns['nodes'][number]> {
  const query = `query ($after: String) {
    runs(first: 100, after: $after) { nodes { number id } pageInfo { hasNextPage endCursor } }
  }`;
  let after: string | null = null;
  for (;;) {
    const { runs }: { runs: NamedRuns } = await api.request(query, { after });
    yield* runs.nodes;
    if (!runs.pageInfo.hasNextPage) return;
    after = runs.pageInfo.endCursor;
  }
}

export interface RunFilter {
  readonly first: number;
  readonly model?: string | undefined;
  readonly tag?: string | undefined;
  readonly status?: readonly string[] | undefined;
}

/** The newest first. */
export async function listRuns(api: ApiClient, filter: RunFilter): Promise<readonly RunSummary[]> {
  const query = `query ($first: Int, $model: String, $tag: String, $status: [RunStatus!]) {
    runs(first: $first, model: $model, tag: $tag, status: $status) {
      nodes { ${SUMMARY} evaluation { loss accuracy } }
    }
  }`;
  return (await api.request<{ runs: { nodes: RunSummary[] } }>(query, { ...filter })).runs.nodes;
}

export async function cancelRun(api: ApiClient, id: string): Promise<{ id: string; status: string }> {
  const mutation = 'mutation ($id: ID!) { cancelTraining(id: $id) { id status } }';
  return (await api.request<{ cancelTraining: { id: string; status: string } }>(mutation, { id })).cancelTraining;
}

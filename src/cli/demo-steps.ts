import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, type ApiClient } from './client.js';
import type { DatasetFolder } from './dataset-folder.js';
import type { RunProgress } from './training-progress.js';

/** What the demo asks of the API, an operation after the other; each as any client would. */

export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export interface Dataset {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly status: string;
  readonly problems: readonly string[];
  readonly imageShape: ImageShape | null;
  readonly classNames: readonly string[];
  readonly trainSize: number;
  readonly testSize: number;
}

interface UploadTarget {
  readonly file: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
}

const DATASET = `id name version status problems imageShape { height width channels } classNames
  trainSize: size(split: TRAIN) testSize: size(split: TEST)`;

/** The latest version of that name if it can be trained on. */
export async function findReadyDataset(api: ApiClient, name: string): Promise<Dataset | null> {
  const query = `query ($name: String!) { dataset(name: $name) { ${DATASET} } }`;
  const { dataset } = await api.request<{ dataset: Dataset | null }>(query, { name });
  return dataset?.status === 'READY' ? dataset : null;
}

/** Creates it, sends its files to the presigned addresses, and waits until it has been validated. */
export async function uploadDataset(api: ApiClient, folder: DatasetFolder): Promise<Dataset> {
  const { createDataset } = await api.request<{ createDataset: { dataset: Dataset; uploads: UploadTarget[] } }>(
    `mutation ($input: CreateDatasetInput!) {
       createDataset(input: $input) { dataset { ${DATASET} } uploads { file method url headers } }
     }`,
    { input: { name: folder.name, format: 'IDX', classNames: folder.classNames } },
  );
  for (const target of createDataset.uploads) {
    const body = folder.files.get(target.file);
    if (body !== undefined) await upload(target, body);
  }
  const { id, name, version } = createDataset.dataset;
  await api.request('mutation ($id: ID!) { completeDataset(id: $id) { id } }', { id });
  return validated(api, name, version);
}

async function upload({ file, method, url, headers }: UploadTarget, body: Buffer): Promise<void> {
  const response = await fetch(url, { method, headers, body: new Uint8Array(body) });
  if (!response.ok) throw new Error(`${file} was not accepted: ${response.status} ${await response.text()}`);
}

async function validated(api: ApiClient, name: string, version: number): Promise<Dataset> {
  const query = `query ($name: String!, $version: Int) { dataset(name: $name, version: $version) { ${DATASET} } }`;
  for (;;) {
    const { dataset } = await api.request<{ dataset: Dataset }>(query, { name, version });
    if (dataset.status === 'READY') return dataset;
    if (dataset.status === 'INVALID') throw new Error(`the data set is not valid: ${dataset.problems.join('; ')}`);
    await sleep(250);
  }
}

/** Defines the network, unless it was defined before. @returns whether it is new */
export async function defineModel(
  api: ApiClient,
  input: { name: string; preset: string; inputShape: ImageShape; classNames: readonly string[] },
): Promise<boolean> {
  try {
    await api.request('mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }', { input });
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'CONFLICT') return false;
    throw error;
  }
}

export async function describeModel(api: ApiClient, name: string): Promise<{ depth: number; parameters: number }> {
  const query = 'query ($name: String!) { model(name: $name) { architecture { depth parameters } } }';
  const answer = await api.request<{ model: { architecture: { depth: number; parameters: number } } }>(query, { name });
  return answer.model.architecture;
}

/** A run of that model with that tag that a demo before left unfinished; the platform goes on with it by itself. */
export async function findUnfinishedRun(api: ApiClient, model: string, tag: string): Promise<string | null> {
  const query = `query ($model: String, $tag: String) {
    runs(first: 1, model: $model, tag: $tag, status: [QUEUED, RUNNING]) { nodes { id } }
  }`;
  const { runs } = await api.request<{ runs: { nodes: { id: string }[] } }>(query, { model, tag });
  return runs.nodes[0]?.id ?? null;
}

/** @returns the run's id */
export async function startTraining(api: ApiClient, input: Record<string, unknown>): Promise<string> {
  const { startTraining: run } = await api.request<{ startTraining: { id: string } }>(
    'mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id } }',
    { input },
  );
  return run.id;
}

/** At once, then as it goes on, then the end. */
export async function* watchRun(api: ApiClient, id: string): AsyncIterable<RunProgress> {
  const subscription = `subscription ($id: ID!) {
    runProgress(id: $id) {
      status epoch step totalSteps etaSeconds steps(maxPoints: 1) { loss accuracy imagesPerSecond }
    }
  }`;
  const answers = api.subscribe<{ runProgress: RunProgress }>(subscription, { id });
  for await (const { runProgress } of answers) yield runProgress;
}

export interface FinishedRun {
  readonly status: string;
  readonly failure: string | null;
  readonly engine: string;
  readonly precision: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly history: readonly { readonly imagesPerSecond: number; readonly validationAccuracy: number }[];
  readonly evaluation: {
    readonly loss: number;
    readonly accuracy: number;
    readonly perClass: readonly ClassMetrics[];
  } | null;
  readonly version: { readonly version: number } | null;
}

export interface ClassMetrics {
  readonly className: string;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly support: number;
}

export async function readRun(api: ApiClient, id: string): Promise<FinishedRun> {
  const query = `query ($id: ID!) {
    run(id: $id) {
      status failure engine precision startedAt finishedAt history { imagesPerSecond validationAccuracy }
      evaluation { loss accuracy perClass { className precision recall f1 support } }
      version { version }
    }
  }`;
  return (await api.request<{ run: FinishedRun }>(query, { id })).run;
}

/** From now on `model@alias` means that version. */
export async function setAlias(api: ApiClient, model: string, alias: string, version: number): Promise<void> {
  const mutation = `mutation ($model: String!, $alias: String!, $version: Int!) {
    setAlias(model: $model, alias: $alias, version: $version) { name }
  }`;
  await api.request(mutation, { model, alias, version });
}

export interface Sample {
  readonly className: string;
  readonly png: string;
}

/** Images of the TEST split, which no training saw. */
export async function readSamples(api: ApiClient, dataset: Dataset, first: number): Promise<readonly Sample[]> {
  const query = `query ($name: String!, $version: Int, $first: Int!) {
    dataset(name: $name, version: $version) { samples(split: TEST, first: $first, seed: 1) { className png } }
  }`;
  const { name, version } = dataset;
  return (await api.request<{ dataset: { samples: Sample[] } }>(query, { name, version, first })).dataset.samples;
}

export interface Prediction {
  readonly latencyMs: number;
  readonly predictions: readonly { readonly top: readonly ClassScore[] }[];
}

interface ClassScore {
  readonly className: string;
  readonly probability: number;
}

export async function predict(api: ApiClient, model: string, images: readonly string[]): Promise<Prediction> {
  const query = `query ($input: PredictInput!) {
    predict(input: $input) { latencyMs predictions { top { className probability } } }
  }`;
  return (await api.request<{ predict: Prediction }>(query, { input: { model, images, topK: 1 } })).predict;
}

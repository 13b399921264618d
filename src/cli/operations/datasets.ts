import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from '../client.js';
import { patiently } from '../patience.js';
import { sendFile, type UploadTarget } from '../transfer.js';

/** What is asked of the API about data sets, as any client would. */

export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export interface Dataset {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly format: string;
  readonly status: string;
  readonly problems: readonly string[];
  readonly imageShape: ImageShape | null;
  readonly classNames: readonly string[];
  readonly trainSize: number;
  readonly testSize: number;
  readonly createdAt: string;
}

export interface DatasetInput {
  readonly name: string;
  /** By label, where the format does not say. */
  readonly classNames?: readonly string[] | null;
  readonly description?: string | undefined;
}

/** A data set on this machine. */
export interface LocalDataset {
  readonly format: string;
  /** By the name that it is uploaded under: where it lies. */
  readonly files: ReadonlyMap<string, string>;
}

const DATASET = `id name version format status problems imageShape { height width channels } classNames createdAt
  trainSize: size(split: TRAIN) testSize: size(split: TEST)`;

/** @param version the latest if none is given */
export async function findDataset(api: ApiClient, name: string, version?: number): Promise<Dataset | null> {
  const query = `query ($name: String!, $version: Int) { dataset(name: $name, version: $version) { ${DATASET} } }`;
  return (await api.request<{ dataset: Dataset | null }>(query, { name, version })).dataset;
}

/** The newest first. */
export async function listDatasets(api: ApiClient, first: number): Promise<readonly Dataset[]> {
  const query = `query ($first: Int) { datasets(first: $first) { nodes { ${DATASET} } } }`;
  return (await api.request<{ datasets: { nodes: Dataset[] } }>(query, { first })).datasets.nodes;
}

/**
 * Creates it, sends its files to the presigned addresses, and waits until it has been validated. Where that comes to
 * nothing before there is anything to validate, nothing stays.
 * @param onBytes is told how many more bytes have been sent
 * @throws InvalidDataset
 */
export async function uploadDataset(
  api: ApiClient,
  { name: asked, classNames, description }: DatasetInput,
  { format, files }: LocalDataset,
  onBytes: (count: number) => void = () => undefined,
): Promise<Dataset> {
  const { createDataset } = await api.request<{ createDataset: { dataset: Dataset; uploads: UploadTarget[] } }>(
    `mutation ($input: CreateDatasetInput!) {
       createDataset(input: $input) { dataset { ${DATASET} } uploads { file method url headers } }
     }`,
    { input: { name: asked, format, classNames, description } },
  );
  const { id, name, version } = createDataset.dataset;
  try {
    for (const target of createDataset.uploads) {
      const file = files.get(target.file);
      if (file !== undefined) await sendFile(target, file, onBytes);
    }
    await api.request('mutation ($id: ID!) { completeDataset(id: $id) { id } }', { id });
  } catch (error) {
    await deleteDataset(api, name, version).catch(() => undefined);
    throw error;
  }
  return validated(api, name, version);
}

async function deleteDataset(api: ApiClient, name: string, version: number): Promise<void> {
  const mutation = 'mutation ($name: String!, $version: Int!) { deleteDataset(name: $name, version: $version) }';
  await api.request(mutation, { name, version });
}

/** It was uploaded whole, and is not what its format says. */
export class InvalidDataset extends Error {
  override readonly name = 'InvalidDataset';
  constructor(readonly dataset: Dataset) {
    const { name, version, problems } = dataset;
    super(`the data set ${name}@${version} is not valid: ${problems.join('; ')}`);
  }
}

async function validated(api: ApiClient, name: string, version: number): Promise<Dataset> {
  for (;;) {
    const dataset = await patiently(() => findDataset(api, name, version));
    if (dataset === null) throw new Error(`the data set ${name}@${version} was deleted while it was validated`);
    if (dataset.status === 'READY') return dataset;
    if (dataset.status === 'INVALID') throw new InvalidDataset(dataset);
    await sleep(250);
  }
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

import { CounterRandom, STREAM } from '../domain/seed.js';
import { badInput } from '../errors.js';
import { encodePng } from '../infra/images.js';
import type { ObjectStore } from '../infra/objects.js';
import type { Dataset } from '../infra/prisma/client.js';
import { openDataset, type OpenDataset, type Split } from './read-dataset.js';

export interface Sample {
  /** The image's place in its split. */
  readonly index: number;
  readonly label: number;
  readonly className: string;
  readonly png: Buffer;
}

const MAX_SAMPLES = 100;

/**
 * Images drawn without repetition; the seed alone decides which, and without one they are the first of the split. None
 * where the data set is not READY.
 * @throws BAD_USER_INPUT
 */
export async function sampleDataset(
  deps: { objects: ObjectStore; dataDir: string },
  { sha256, classNames }: Dataset,
  { split, first = 10, seed }: { split: Split; first?: number; seed?: number | null | undefined },
): Promise<Sample[]> {
  if (!(first >= 0 && first <= MAX_SAMPLES)) throw badInput('first', `is between 0 and ${MAX_SAMPLES}`);
  if (sha256 === null || first === 0) return [];
  return withDataset(deps, sha256, (dataset) => {
    const indices = choose(dataset.size(split), first, split, seed ?? null);
    return Promise.all(indices.map((index) => readSample(dataset, split, index, classNames)));
  });
}

/** Images of a split as PNG, in the order of `indices`; none where the data set is not READY. */
export async function drawSamples(
  deps: { objects: ObjectStore; dataDir: string },
  { sha256 }: Pick<Dataset, 'sha256'>,
  split: Split,
  indices: readonly number[],
): Promise<Buffer[]> {
  if (sha256 === null) return [];
  return withDataset(deps, sha256, (dataset) =>
    Promise.all(indices.map((index) => drawSample(dataset, split, index))),
  );
}

async function withDataset<T>(
  deps: { objects: ObjectStore; dataDir: string },
  sha256: string,
  use: (dataset: OpenDataset) => Promise<T>,
): Promise<T> {
  const dataset = await openDataset(deps, { sha256 });
  try {
    return await use(dataset);
  } finally {
    dataset.close();
  }
}

async function readSample(dataset: OpenDataset, split: Split, index: number, classNames: string[]): Promise<Sample> {
  const label = dataset.labels(split)[index]!;
  return { index, label, className: classNames[label]!, png: await drawSample(dataset, split, index) };
}

async function drawSample(dataset: OpenDataset, split: Split, index: number): Promise<Buffer> {
  const { height, width, channels } = dataset.shape;
  const pixels = new Uint8Array(height * width * channels);
  dataset.gather(split, [index], pixels);
  return encodePng(pixels, dataset.shape);
}

/** The first `count` places of a Fisher-Yates shuffle of `size`, of which only what moved is kept. */
function choose(size: number, count: number, split: Split, seed: number | null): number[] {
  const places = Array.from({ length: Math.min(count, size) }, (_, place) => place);
  if (seed === null) return places;
  const random = new CounterRandom(seed, STREAM.sample, split === 'TRAIN' ? 0 : 1);
  const moved = new Map<number, number>();
  return places.map((place) => {
    const other = place + random.integer(size - place);
    const drawn = moved.get(other) ?? other;
    moved.set(other, moved.get(place) ?? place);
    return drawn;
  });
}

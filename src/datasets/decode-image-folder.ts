import { folderImages, scanImageFolder, type FolderImage, type FolderLayout } from '../formats/image-folder.js';
import { printable, type ArchiveEntry, type ArchiveLimits } from '../formats/archive.js';
import { isSystemError, type ByteSource, type Records, type Report } from '../formats/records.js';
import { decodeImage, probeImage, type ImageShape } from '../infra/images.js';
import type { Split } from './read-dataset.js';

export interface DecodeOptions {
  readonly classNames: readonly string[] | null;
  /** Bytes that the archive may unpack to. */
  readonly maxBytes: number;
  /** Width times height of one image. */
  readonly maxPixels: number;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** One image is held in memory whole. */
const MAX_FILE_BYTES = 64 * 1024 ** 2;
/** libuv decodes in this many threads. */
const DECODED_AT_ONCE = 4;

/**
 * Images of any sizes as images of one shape. Its height and width are those that at least half of the TRAIN images
 * share, or else the median height and the median width; the others are scaled to cover it and cropped at the centre.
 * It has one channel where every TRAIN image is grey, three otherwise. Images come in the archive's order.
 * @returns null where the problems leave nothing to read
 */
export async function decodeImageFolder(source: ByteSource, options: DecodeOptions): Promise<Records | null> {
  const { classNames, report } = options;
  const limits: ArchiveLimits = { maxBytes: options.maxBytes };
  const layout = await scanImageFolder(source, limits, classNames, report);
  if (!layout) return null;
  const survey = await surveyImages(source, limits, layout, options);
  const shape = chooseShape(survey.shapes);
  const split = (name: Split) => ({
    labels: Int32Array.from(survey.labels[name]),
    images: () => decodeSplit(source, limits, layout, name, shape, options),
  });
  return { shape, classNames: layout.classNames, train: split('TRAIN'), test: split('TEST') };
}

interface Survey {
  readonly labels: Record<Split, number[]>;
  /** How many TRAIN images have each shape, by `height width channels`. */
  readonly shapes: Map<string, number>;
}

/** Reads labels and the heads of the TRAIN images. What is no image is left for the decoding to report. */
async function surveyImages(
  source: ByteSource,
  limits: ArchiveLimits,
  layout: FolderLayout,
  { maxPixels, signal }: DecodeOptions,
): Promise<Survey> {
  const survey: Survey = { labels: { TRAIN: [], TEST: [] }, shapes: new Map() };
  const probe = async ({ entry, split, label }: FolderImage) => {
    return { split, label, shape: split === 'TRAIN' ? await probeEntry(entry, maxPixels) : null };
  };
  for await (const { split, label, shape } of mapAhead(folderImages(source, limits, layout), DECODED_AT_ONCE, probe)) {
    signal.throwIfAborted();
    survey.labels[split].push(label);
    if (!shape) continue;
    const key = `${shape.height} ${shape.width} ${shape.channels}`;
    survey.shapes.set(key, (survey.shapes.get(key) ?? 0) + 1);
  }
  return survey;
}

async function probeEntry(entry: ArchiveEntry, maxPixels: number): Promise<ImageShape | null> {
  if (entry.bytes > MAX_FILE_BYTES) return null;
  try {
    return await probeImage(await entry.content(), maxPixels);
  } catch (error) {
    if (isSystemError(error)) throw error;
    return null;
  }
}

/** `shapes`: how many images have each, by `height width channels`. */
export function chooseShape(shapes: ReadonlyMap<string, number>): ImageShape {
  // Without any image that can be read this is for checking the others alone.
  if (shapes.size === 0) return { height: 1, width: 1, channels: 1 };
  const counted = [...shapes].map(([key, count]) => {
    const [height, width, channels] = key.split(' ').map(Number) as [number, number, number];
    return { height, width, channels, count };
  });
  const total = counted.reduce((sum, { count }) => sum + count, 0);
  const channels = Math.max(...new Set(counted.map((shape) => shape.channels)));
  const sizes = new Map<string, { height: number; width: number; count: number }>();
  for (const { height, width, count } of counted) {
    const size = sizes.get(`${height} ${width}`) ?? { height, width, count: 0 };
    sizes.set(`${height} ${width}`, { ...size, count: size.count + count });
  }
  const common = [...sizes.values()].find(({ count }) => 2 * count >= total);
  if (common) return { height: common.height, width: common.width, channels };
  const all = [...sizes.values()];
  return {
    height: median(all.map(({ height, count }) => [height, count])),
    width: median(all.map(({ width, count }) => [width, count])),
    channels,
  };
}

/** The lower median of values with their counts. */
function median(counts: [value: number, count: number][]): number {
  const sorted = counts.sort(([a], [b]) => a - b);
  let left = sorted.reduce((sum, [, count]) => sum + count, 0) / 2;
  return sorted.find(([, count]) => (left -= count) <= 0)![0];
}

async function* decodeSplit(
  source: ByteSource,
  limits: ArchiveLimits,
  layout: FolderLayout,
  split: Split,
  shape: ImageShape,
  { maxPixels, report }: DecodeOptions,
): AsyncGenerator<Uint8Array> {
  const decode = async ({ entry }: FolderImage): Promise<Uint8Array> => {
    try {
      if (entry.bytes > MAX_FILE_BYTES) throw new Error(`${entry.bytes} bytes, more than ${MAX_FILE_BYTES}`);
      return await decodeImage(await entry.content(), shape, maxPixels);
    } catch (error) {
      if (isSystemError(error)) throw error;
      report(`${source.name}: ${printable(entry.path)}: ${(error as Error).message}`);
      return new Uint8Array(shape.height * shape.width * shape.channels);
    }
  };
  yield* mapAhead(ofSplit(folderImages(source, limits, layout), split), DECODED_AT_ONCE, decode);
}

async function* ofSplit(images: AsyncIterable<FolderImage>, split: Split): AsyncGenerator<FolderImage> {
  for await (const image of images) if (image.split === split) yield image;
}

/** Maps in order, with up to `ahead` items under way. */
async function* mapAhead<T, R>(
  items: AsyncIterable<T>,
  ahead: number,
  map: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const underWay: Promise<R>[] = [];
  for await (const item of items) {
    const mapped = map(item);
    // Its failure is met when its turn comes; until then it must not count as unhandled.
    mapped.catch(() => undefined);
    underWay.push(mapped);
    if (underWay.length >= ahead) yield await underWay.shift()!;
  }
  for (const mapped of underWay) yield await mapped;
}

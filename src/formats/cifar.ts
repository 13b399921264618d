import {
  MAX_RECORDS,
  streamBytes,
  wholeRecords,
  type ByteSource,
  type Records,
  type RecordSplit,
  type Report,
} from './records.js';

/**
 * CIFAR's binary version (www.cs.toronto.edu/~kriz/cifar.html, "Binary version"): records of one label byte (CIFAR-100:
 * coarse, then fine) and 3,072 bytes of pixels, the red plane, then green, then blue, each 32 x 32 row by row.
 */
export interface CifarLayout {
  readonly train: readonly string[];
  readonly test: readonly string[];
  /** The archive's list of class names, a line each. */
  readonly namesFile: string;
  /** How many values each label byte may have; the last is the class. */
  readonly labelValues: readonly number[];
  readonly classNames: readonly string[];
}

export const CIFAR10: CifarLayout = {
  train: [1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.bin`),
  test: ['test_batch.bin'],
  namesFile: 'batches.meta.txt',
  labelValues: [10],
  classNames: 'airplane automobile bird cat deer dog frog horse ship truck'.split(' '),
};

export const CIFAR100: CifarLayout = {
  train: ['train.bin'],
  test: ['test.bin'],
  namesFile: 'fine_label_names.txt',
  labelValues: [20, 100],
  classNames: `
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
    man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
    pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
    skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
    tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
  `
    .trim()
    .split(/\s+/),
};

const SIDE = 32;
const PLANE_BYTES = SIDE * SIDE;
const PIXEL_BYTES = 3 * PLANE_BYTES;
const MAX_NAMES_BYTES = 65_536;

/**
 * RGB images, (32, 32, 3). A file may have any number of records, fewer than the official 10,000 as well.
 * @param files by name, without folders
 * @param classNames where null, the archive's names, else the official ones
 * @returns null where the problems leave nothing to read
 */
export async function openCifar(
  layout: CifarLayout,
  files: ReadonlyMap<string, ByteSource>,
  classNames: readonly string[] | null,
  report: Report,
): Promise<Records | null> {
  const names = classNames ?? (await readNames(layout, files.get(layout.namesFile), report));
  const train = await openSplit(layout, layout.train, files, report);
  const test = await openSplit(layout, layout.test, files, report);
  if (!train || !test) return null;
  return { shape: { height: SIDE, width: SIDE, channels: 3 }, classNames: names, train, test };
}

async function readNames(
  { classNames }: CifarLayout,
  file: ByteSource | undefined,
  report: Report,
): Promise<readonly string[]> {
  if (!file) return classNames;
  const text = (await file.read(0, Math.min(file.bytes, MAX_NAMES_BYTES))).toString('utf8');
  const names = text.split('\n').flatMap((line) => line.trim() || []);
  if (names.length === classNames.length) return names;
  report(`${file.name}: ${names.length} class names, not ${classNames.length}`);
  return classNames;
}

async function openSplit(
  layout: CifarLayout,
  names: readonly string[],
  files: ReadonlyMap<string, ByteSource>,
  report: Report,
): Promise<RecordSplit | null> {
  const recordBytes = layout.labelValues.length + PIXEL_BYTES;
  const sources = names.flatMap((name) => findFile(files, name, recordBytes, report) ?? []);
  if (sources.length < names.length) return null;
  const count = sources.reduce((sum, { bytes }) => sum + bytes / recordBytes, 0);
  if (count > MAX_RECORDS) {
    report(`${sources[0]!.name}: ${count} records, more than ${MAX_RECORDS}`);
    return null;
  }
  const labels = new Int32Array(count);
  let first = 0;
  for (const source of sources) first += await readLabels(layout, source, labels.subarray(first), report);
  return { labels, images: () => readImages(sources, recordBytes) };
}

function findFile(
  files: ReadonlyMap<string, ByteSource>,
  name: string,
  recordBytes: number,
  report: Report,
): ByteSource | null {
  const source = files.get(name);
  if (!source) report(`${name}: is missing`);
  else if (source.bytes === 0) report(`${source.name}: is empty`);
  else if (source.bytes % recordBytes > 0) {
    const whole = Math.floor(source.bytes / recordBytes);
    report(`${source.name}: truncated: record ${whole} has ${source.bytes % recordBytes} bytes of ${recordBytes}`);
  } else return source;
  return null;
}

/** Fills `labels` from its start on. @returns how many */
async function readLabels(
  { labelValues }: CifarLayout,
  source: ByteSource,
  labels: Int32Array,
  report: Report,
): Promise<number> {
  const recordBytes = labelValues.length + PIXEL_BYTES;
  let record = 0;
  for await (const chunk of wholeRecords(streamBytes(source), recordBytes))
    for (let start = 0; start < chunk.length; start += recordBytes, record++)
      for (const [position, values] of labelValues.entries()) {
        const label = chunk[start + position]!;
        if (label >= values)
          report(`${source.name}: record ${record}: label ${label} is out of range, there are ${values} classes`);
        labels[record] = label;
      }
  return record;
}

async function* readImages(sources: readonly ByteSource[], recordBytes: number): AsyncGenerator<Uint8Array> {
  const labelBytes = recordBytes - PIXEL_BYTES;
  for (const source of sources)
    for await (const chunk of wholeRecords(streamBytes(source), recordBytes)) {
      const pixels = new Uint8Array((chunk.length / recordBytes) * PIXEL_BYTES);
      for (let from = labelBytes, to = 0; from < chunk.length; from += recordBytes, to += PIXEL_BYTES)
        interleave(chunk, from, pixels, to);
      yield pixels;
    }
}

/** Planes (3, H, W) to pixels (H, W, 3). */
function interleave(planes: Uint8Array, from: number, pixels: Uint8Array, to: number): void {
  for (let pixel = 0; pixel < PLANE_BYTES; pixel++) {
    pixels[to + 3 * pixel] = planes[from + pixel]!;
    pixels[to + 3 * pixel + 1] = planes[from + PLANE_BYTES + pixel]!;
    pixels[to + 3 * pixel + 2] = planes[from + 2 * PLANE_BYTES + pixel]!;
  }
}

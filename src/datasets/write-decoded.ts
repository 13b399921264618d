import { open, type FileHandle } from 'node:fs/promises';
import { encodeSafetensorsHeader } from '../formats/safetensors.js';
import type { Records, RecordSplit } from '../formats/records.js';

/** A value per channel, over the TRAIN split, of pixels scaled to [0, 1]. */
export interface ChannelStatistics {
  readonly mean: number[];
  /** Of the population; 1 where a channel has one value throughout, so that it can be divided by. */
  readonly std: number[];
}

/** Pixels of both splits, one byte each. */
export const decodedBytes = ({ shape: { height, width, channels }, train, test }: Records) =>
  (train.labels.length + test.labels.length) * height * width * channels;

/**
 * Writes records as one safetensors file: `train.images` U8 (N, H, W, C), `train.labels` I32 (N), `test.images`,
 * `test.labels`. The same records make the same bytes.
 */
export async function writeDecoded(file: string, records: Records, signal: AbortSignal): Promise<ChannelStatistics> {
  const { shape, train, test } = records;
  const histogram = new ChannelHistogram(shape.channels);
  const output = await open(file, 'w');
  try {
    await output.writeFile(header(records));
    await writeSplit(output, records, train, signal, (pixels) => histogram.add(pixels));
    await writeSplit(output, records, test, signal, () => undefined);
  } finally {
    await output.close();
  }
  return histogram.statistics();
}

function header({ shape: { height, width, channels }, train, test }: Records): Uint8Array {
  const tensors = ({ labels }: RecordSplit, name: string) => [
    { name: `${name}.images`, type: 'U8' as const, shape: [labels.length, height, width, channels] },
    { name: `${name}.labels`, type: 'I32' as const, shape: [labels.length] },
  ];
  return encodeSafetensorsHeader([...tensors(train, 'train'), ...tensors(test, 'test')]);
}

async function writeSplit(
  output: FileHandle,
  { shape: { height, width, channels } }: Records,
  split: RecordSplit,
  signal: AbortSignal,
  onPixels: (pixels: Uint8Array) => void,
): Promise<void> {
  let written = 0;
  for await (const pixels of split.images()) {
    signal.throwIfAborted();
    onPixels(pixels);
    // Not `write`, which may write less than it is given.
    await output.writeFile(pixels);
    written += pixels.length;
  }
  const expected = split.labels.length * height * width * channels;
  if (written !== expected) throw new Error(`${written} bytes of pixels where ${expected} were announced`);
  await output.writeFile(new Uint8Array(split.labels.buffer, split.labels.byteOffset, split.labels.byteLength));
}

/** How often each value occurs in each channel: sums over it are exact, whatever the number of pixels. */
class ChannelHistogram {
  private readonly counts: Float64Array;
  private channel = 0;

  constructor(private readonly channels: number) {
    this.counts = new Float64Array(256 * channels);
  }

  /** Pixels in (…, C) order, going on where the last ones ended. */
  add(pixels: Uint8Array): void {
    const { counts, channels } = this;
    let channel = this.channel;
    for (let index = 0; index < pixels.length; index++) {
      counts[256 * channel + pixels[index]!]!++;
      if (++channel === channels) channel = 0;
    }
    this.channel = channel;
  }

  statistics(): ChannelStatistics {
    const each = Array.from({ length: this.channels }, (_, channel) =>
      meanAndStd(this.counts.subarray(256 * channel, 256 * (channel + 1))),
    );
    return { mean: each.map(({ mean }) => mean), std: each.map(({ std }) => std) };
  }
}

function meanAndStd(counts: Float64Array): { mean: number; std: number } {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const mean = counts.reduce((sum, count, value) => sum + count * value, 0) / total;
  const variance = counts.reduce((sum, count, value) => sum + count * (value - mean) ** 2, 0) / total;
  return { mean: mean / 255, std: variance === 0 ? 1 : Math.sqrt(variance) / 255 };
}

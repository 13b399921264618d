import type { OpenDataset } from '../datasets/read-dataset.js';
import { calibrationImages } from '../domain/calibration.js';
import type { Range } from '../domain/int8.js';
import type { Normalisation } from '../domain/normalisation.js';
import { encodeCalibrationOnnx } from '../formats/onnx-calibration.js';
import type { OpenOnnx } from './inference.js';
import { readImages } from './read-images.js';

export const CALIBRATION_IMAGES = 512;

/** A network cannot be quantised; the message says why. */
export class CalibrationError extends Error {
  override readonly name = 'CalibrationError';
}

/**
 * The range of each activation over training images, by running the float network on them.
 * @param onnx of `encodeOnnx`, its batch norms folded
 * @throws CalibrationError where an activation is infinite or no number
 */
export async function calibrate(
  open: OpenOnnx,
  onnx: Uint8Array,
  data: OpenDataset,
  normalisation: Normalisation,
  signal: AbortSignal,
): Promise<Map<string, Range>> {
  const { onnx: calibration, values } = encodeCalibrationOnnx(onnx);
  const least = new Float32Array(values.length).fill(Infinity);
  const greatest = new Float32Array(values.length).fill(-Infinity);
  const network = await open(calibration, 'extremes');
  try {
    const chosen = calibrationImages(data.labels('TRAIN'), CALIBRATION_IMAGES);
    for (const { images, size } of readImages(data, 'TRAIN', chosen, normalisation)) {
      signal.throwIfAborted();
      const extremes = await network.run(images, size);
      for (let image = 0; image < size; image++)
        for (let value = 0; value < values.length; value++) {
          const at = 2 * image * values.length + value;
          least[value] = Math.min(least[value]!, extremes[at]!);
          greatest[value] = Math.max(greatest[value]!, extremes[at + values.length]!);
        }
    }
  } finally {
    await network.release();
  }
  const ranges = new Map(values.map((name, value) => [name, { min: least[value]!, max: greatest[value]! }]));
  for (const [name, { min, max }] of ranges)
    if (!Number.isFinite(max - min)) throw new CalibrationError(`the values of ${name} lie between ${min} and ${max}`);
  return ranges.set('input', imageRange(normalisation));
}

/** What the 8 bits of a pixel become: known without looking. */
function imageRange({ mean, std }: Normalisation): Range {
  const ends = mean.flatMap((value, channel) => [-value / (std[channel] || 1), (1 - value) / (std[channel] || 1)]);
  return { min: Math.min(...ends), max: Math.max(...ends) };
}

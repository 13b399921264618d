import { permutation, STREAM } from './seed.js';

/**
 * Which images of a split stand for all of them: as many of each class as of any other, as far as there are, drawn the
 * same every time. Ascending.
 * @param labels (N), of the split
 */
export function calibrationImages(labels: Int32Array, count: number): Uint32Array {
  const byClass = new Map<number, number[]>();
  for (const index of permutation(0, STREAM.calibration, 0, labels.length)) {
    const known = byClass.get(labels[index]!);
    if (known) known.push(index);
    else byClass.set(labels[index]!, [index]);
  }
  const inTurn: number[] = [];
  for (let turn = 0; inTurn.length < Math.min(count, labels.length); turn++)
    for (const images of byClass.values()) if (turn < images.length) inTurn.push(images[turn]!);
  return Uint32Array.from(inTurn.slice(0, count)).sort();
}

/**
 * Randomness as a function of (seed, stream, index) alone, so that a resumed run, another engine or another worker
 * draw the same numbers without any generator state being stored.
 *
 * Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */

/** What a number is drawn for; two streams never share numbers. */
export const STREAM = {
  initialise: 1, shuffle: 2, augment: 3, drop: 4, sample: 5, search: 6,
  erase: 7, resizedCrop: 8, mix: 9, partner: 10, split: 11,
  calibration: 12,
} as const; // prettier-ignore
export type Stream = (typeof STREAM)[keyof typeof STREAM];

/** Ten rounds over `counter` (four words) under `key` (two words), in place. */
export function philox4x32(counter: Uint32Array, key0: number, key1: number): void {
  let [c0, c1, c2, c3] = counter as unknown as [number, number, number, number];
  let k0 = key0 >>> 0;
  let k1 = key1 >>> 0;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  counter[0] = c0;
  counter[1] = c1;
  counter[2] = c2;
  counter[3] = c3;
}

/** Upper 32 bits of the 64-bit product. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

/** A sequence of numbers that (seed, stream, index, subindex) alone decide. */
export class CounterRandom {
  private readonly words = new Uint32Array(4);
  private used = 4;
  private block = 0;
  private spare: number | undefined;

  /** `index` and `subindex` below 2^32: an epoch and an image, say. */
  constructor(
    private readonly seed: number,
    private readonly stream: Stream,
    private readonly index: number,
    private readonly subindex = 0,
  ) {}

  /** An integer in [0, 2^32). */
  bits(): number {
    if (this.used === 4) {
      this.words[0] = this.block++;
      this.words[1] = this.index;
      this.words[2] = this.subindex;
      this.words[3] = 0;
      philox4x32(this.words, this.seed >>> 0, this.stream);
      this.used = 0;
    }
    return this.words[this.used++]!;
  }

  /** In [0, 1), 32 bits fine. */
  uniform(): number {
    return this.bits() / 0x1_0000_0000;
  }

  /** An integer in [0, below); biased by less than below / 2^32. */
  integer(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  /** Standard normal: Box and Muller 1958, the cosine and then the sine of each pair. */
  normal(): number {
    const spare = this.spare;
    this.spare = undefined;
    if (spare !== undefined) return spare;
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

/** The numbers 0 to size - 1 in an order that (seed, stream, index, subindex) decide: Fisher and Yates. */
export function permutation(seed: number, stream: Stream, index: number, size: number, subindex = 0): Uint32Array {
  const order = Uint32Array.from({ length: size }, (_, position) => position);
  const random = new CounterRandom(seed, stream, index, subindex);
  for (let last = size - 1; last > 0; last--) {
    const other = random.integer(last + 1);
    const kept = order[last]!;
    order[last] = order[other]!;
    order[other] = kept;
  }
  return order;
}

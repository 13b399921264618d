import { describe, expect, it } from 'vitest';
import { CounterRandom, STREAM, permutation, philox4x32 } from '../../../src/domain/seed.js';

describe('philox4x32', () => {
  it.each([
    // Random123's tests/kat_vectors, lines "philox4x32 10".
    { counter: [0, 0, 0, 0], key: [0, 0], out: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
    {
      counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      key: [0xffffffff, 0xffffffff],
      out: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    },
    {
      counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      key: [0xa4093822, 0x299f31d0],
      out: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    },
  ])('gives the known answer for counter $counter and key $key', ({ counter, key, out }) => {
    const words = Uint32Array.from(counter);
    philox4x32(words, key[0]!, key[1]!);
    expect([...words]).toEqual(out);
  });
});

const draw = (random: CounterRandom, count: number) => Array.from({ length: count }, () => random.bits());

describe('CounterRandom', () => {
  it('is decided by seed, stream, index and subindex, each alone', () => {
    const first = draw(new CounterRandom(1, STREAM.shuffle, 2, 3), 9);
    expect(draw(new CounterRandom(1, STREAM.shuffle, 2, 3), 9)).toEqual(first);
    for (const other of [
      new CounterRandom(0, STREAM.shuffle, 2, 3),
      new CounterRandom(1, STREAM.augment, 2, 3),
      new CounterRandom(1, STREAM.shuffle, 0, 3),
      new CounterRandom(1, STREAM.shuffle, 2, 0),
    ])
      expect(draw(other, 9)).not.toEqual(first);
  });

  it('draws uniform numbers and integers below their bound', () => {
    const random = new CounterRandom(5, STREAM.sample, 0);
    const uniforms = Array.from({ length: 20_000 }, () => random.uniform());
    expect(uniforms.every((value) => value >= 0 && value < 1)).toBe(true);
    expect(uniforms.reduce((sum, value) => sum + value, 0) / uniforms.length).toBeCloseTo(0.5, 2);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 14_000; i++) counts[random.integer(7)]!++;
    // Three standard deviations of a binomial count with mean 2000.
    for (const count of counts) expect(Math.abs(count - 2_000)).toBeLessThan(3 * Math.sqrt(2_000));
  });

  it('draws normal numbers with mean 0 and deviation 1', () => {
    const random = new CounterRandom(5, STREAM.initialise, 0);
    const values = Array.from({ length: 40_000 }, () => random.normal());
    expect(values.every(Number.isFinite)).toBe(true);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean).toBeCloseTo(0, 1);
    expect(values.reduce((sum, value) => sum + value * value, 0) / values.length).toBeCloseTo(1, 1);
    const neighbours = values.slice(1).map((value, index) => value * values[index]!);
    expect(neighbours.reduce((sum, value) => sum + value, 0) / neighbours.length).toBeCloseTo(0, 1);
  });
});

describe('permutation', () => {
  it('holds every number once, in another order for another index', () => {
    const order = permutation(1, STREAM.shuffle, 0, 1_000);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1_000 }, (_, position) => position));
    expect(permutation(1, STREAM.shuffle, 0, 1_000)).toEqual(order);
    expect(permutation(1, STREAM.shuffle, 1, 1_000)).not.toEqual(order);
  });

  it('is empty for no numbers', () => expect(permutation(1, STREAM.shuffle, 0, 0)).toHaveLength(0));
});

import { describe, expect, it } from 'vitest';
import { quantizeWeights, scaleOfRange } from '../../../src/domain/int8.js';

describe('scaleOfRange', () => {
  it('spreads 255 steps over the range, with zero on one of them', () => {
    expect(scaleOfRange({ min: 0, max: 51 })).toEqual({ scale: Math.fround(0.2), zeroPoint: 0 });
    expect(scaleOfRange({ min: -1, max: 1.55 })).toEqual({ scale: Math.fround(0.01), zeroPoint: 100 });
    expect(scaleOfRange({ min: -51, max: -5 })).toEqual({ scale: Math.fround(0.2), zeroPoint: 255 });
  });

  it('takes zero into a range that lacks it, since padding is zeros', () => {
    expect(scaleOfRange({ min: 10, max: 51 })).toEqual(scaleOfRange({ min: 0, max: 51 }));
  });

  it('has a scale for a value that is always zero', () => {
    expect(scaleOfRange({ min: 0, max: 0 })).toEqual({ scale: 1, zeroPoint: 0 });
  });
});

describe('quantizeWeights', () => {
  it('gives each output channel a scale of its own, and the bias that of the products', () => {
    const weights = Float32Array.of(1.27, -0.5, 0.01, /**/ 25.4, 0.12, -12.58);
    const { weights: integers, scales, bias, biasScales } = quantizeWeights(weights, 2, 0.5, Float32Array.of(0.2, -3));
    expect([...integers]).toEqual([127, -50, 1, 127, 1, -63]);
    expect([...scales]).toEqual([Math.fround(Math.fround(1.27) / 127), Math.fround(Math.fround(25.4) / 127)]);
    expect([...biasScales]).toEqual([0.005, 0.1].map((scale) => expect.closeTo(scale, 6)));
    expect([...bias!]).toEqual([40, -30]);
  });

  it('leaves channels of zeros zeros, and does without a bias', () => {
    const { weights, scales, bias } = quantizeWeights(new Float32Array(4), 2, 1);
    expect([[...weights], [...scales], bias]).toEqual([[0, 0, 0, 0], [1, 1], undefined]);
  });

  it('keeps a bias next to tiny weights right, at the cost of those', () => {
    const { bias, biasScales } = quantizeWeights(Float32Array.of(1e-12), 1, 1e-3, Float32Array.of(7));
    expect(bias![0]! * biasScales[0]!).toBeCloseTo(7, 5);
    expect(bias![0]).toBeLessThanOrEqual(2 ** 30);
  });
});

import { describe, expect, it } from 'vitest';
import { topClasses } from '../../../src/serving/top-classes.js';

const names = ['ant', 'bee', 'cat', 'dog'];

describe('the top classes', () => {
  it('come with the most probable first, with name and probability', () => {
    expect(topClasses(Float32Array.of(0.125, 0.5, 0.25, 0.125), names, 2)).toEqual([
      { index: 1, className: 'bee', probability: 0.5 },
      { index: 2, className: 'cat', probability: 0.25 },
    ]);
  });

  it('come by index where they are equally probable', () => {
    expect(topClasses(new Float32Array(4).fill(0.25), names, 3).map(({ index }) => index)).toEqual([0, 1, 2]);
  });

  it('are all classes where more are asked for', () => {
    const all = topClasses(Float32Array.of(0.1, 0.2, 0.3, 0.4), names, 99);
    expect(all.map(({ className }) => className)).toEqual(['dog', 'cat', 'bee', 'ant']);
  });
});

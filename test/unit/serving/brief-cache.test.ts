import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BriefCache } from '../../../src/serving/brief-cache.js';

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => vi.useRealTimers());

describe('answers that may be a little old', () => {
  it('are asked for once within their time, however many want them, and again after it', async () => {
    let asked = 0;
    const cache = new BriefCache(1_000, async (key) => `${key} ${++asked}`);
    expect(await Promise.all([cache.get('a'), cache.get('a'), cache.get('b')])).toEqual(['a 1', 'a 1', 'b 2']);
    vi.advanceTimersByTime(999);
    expect(await cache.get('a')).toBe('a 1');
    vi.advanceTimersByTime(1);
    expect(await cache.get('a')).toBe('a 3');
  });

  it('are asked for anew by refresh, for those who come after it too', async () => {
    let asked = 0;
    const cache = new BriefCache(1_000, async () => ++asked);
    expect([await cache.get('a'), await cache.refresh('a'), await cache.get('a')]).toEqual([1, 2, 2]);
    vi.advanceTimersByTime(500);
    await cache.refresh('a');
    vi.advanceTimersByTime(999);
    expect(await cache.get('a')).toBe(3);
  });

  it('are not kept where they are failures', async () => {
    let asked = 0;
    const cache = new BriefCache(1_000, async () => {
      if (++asked === 1) throw new Error('away');
      return 'there';
    });
    await expect(cache.get('a')).rejects.toThrow('away');
    expect(await cache.get('a')).toBe('there');
  });
});

import { afterEach, describe, expect, it, vi } from 'vitest';
import { LatencyWindow } from '../../../src/serving/stats.js';

afterEach(() => vi.useRealTimers());

describe('latency quantiles', () => {
  it('are the nearest ranks of the latencies', () => {
    const window = new LatencyWindow();
    for (let ms = 100; ms >= 1; ms--) window.add(ms);
    expect(window.quantiles()).toEqual({ p50: 50, p95: 95, p99: 99 });
  });

  it('are the one latency where there is one, and 0 where there is none', () => {
    const window = new LatencyWindow();
    expect(window.quantiles()).toEqual({ p50: 0, p95: 0, p99: 0 });
    window.add(7);
    expect(window.quantiles()).toEqual({ p50: 7, p95: 7, p99: 7 });
  });

  it('leave out what is older than five minutes', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const window = new LatencyWindow();
    window.add(1000);
    vi.advanceTimersByTime(4 * 60_000);
    window.add(10);
    expect(window.quantiles().p99).toBe(1000);
    vi.advanceTimersByTime(61_000);
    expect(window.quantiles()).toEqual({ p50: 10, p95: 10, p99: 10 });
  });

  it('are of the last 4096 requests', () => {
    const window = new LatencyWindow();
    for (let request = 0; request < 4096; request++) window.add(5);
    for (let request = 0; request < 4096; request++) window.add(3);
    expect(window.quantiles()).toEqual({ p50: 3, p95: 3, p99: 3 });
  });
});

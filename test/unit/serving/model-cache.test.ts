import { describe, expect, it } from 'vitest';
import { ModelCache, type ModelCacheOptions, type Source } from '../../../src/serving/model-cache.js';

/** A value that takes memory for as long as nobody releases it. */
class Block {
  released = false;
  constructor(
    readonly key: string,
    readonly onRelease: () => void = () => undefined,
  ) {}
  async release(): Promise<void> {
    expect(this.released).toBe(false);
    this.released = true;
    this.onRelease();
  }
}

function setup(options: Partial<ModelCacheOptions> = {}) {
  const cache = new ModelCache<Block>({ budgetBytes: 100, ...options });
  const loads: string[] = [];
  const source = (key: string, bytes = 30, load?: () => Promise<Block>): Source<Block> => ({
    bytes,
    label: key,
    load: async () => {
      loads.push(key);
      return load === undefined ? new Block(key) : load();
    },
  });
  const use = async (key: string, bytes?: number) => {
    const lease = await cache.acquire(key, source(key, bytes));
    lease.release();
    return lease;
  };
  return { cache, loads, source, use };
}

const immediate = () => new Promise((resolve) => setImmediate(resolve));

describe('the model cache', () => {
  it('loads once however many ask, and tells those who waited that it was not in memory', async () => {
    const { cache, source, loads } = setup();
    const leases = await Promise.all(Array.from({ length: 100 }, () => cache.acquire('a', source('a'))));
    expect(loads).toEqual(['a']);
    expect(new Set(leases.map(({ value }) => value)).size).toBe(1);
    expect(leases.some(({ hit }) => hit)).toBe(false);
    expect((await cache.acquire('a', source('a'))).hit).toBe(true);
    expect(cache.states()).toMatchObject([{ key: 'a', state: 'READY', bytes: 30, requests: 101 }]);
  });

  it('fails everybody who waits for a load that fails, forgets it, remembers why, and loads again for the next', async () => {
    const { cache, source, loads } = setup();
    const broken = source('a', 30, () => Promise.reject(new Error('no such file')));
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => cache.acquire('a', broken)));
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    expect(loads).toEqual(['a']);
    expect(cache.bytes).toBe(0);
    expect(cache.has('a')).toBe(false);
    expect(cache.states()).toMatchObject([{ key: 'a', state: 'FAILED', reason: expect.stringContaining('no such file') }]);
    await cache.acquire('a', source('a'));
    expect(loads).toEqual(['a', 'a']);
    expect(cache.states()).toMatchObject([{ key: 'a', state: 'READY' }]);
  });

  it('puts the least recently used out first, and gives its memory back before it loads', async () => {
    let evictions = 0;
    const { cache, use } = setup({ onEvict: () => evictions++ });
    const [a, b, c] = [await use('a'), await use('b'), await use('c')];
    await use('a');
    await use('d');
    expect([a, b, c].map(({ value }) => value.released)).toEqual([false, true, false]);
    expect(cache.bytes).toBe(90);
    await use('e', 60);
    expect(['a', 'b', 'c', 'd', 'e'].filter((key) => cache.has(key))).toEqual(['d', 'e']);
    expect(evictions).toBe(3);
  });

  it('never takes more than its budget, loads under way included', async () => {
    let most = 0;
    const { cache, source } = setup({ onChange: ({ bytes }) => (most = Math.max(most, bytes)) });
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const lease = await cache.acquire(`${index % 7}`, source(`${index % 7}`));
        await immediate();
        expect(lease.value.released).toBe(false);
        lease.release();
      }),
    );
    expect(most).toBeLessThanOrEqual(100);
    expect(most).toBe(90);
  });

  it('never evicts what is in use: a load waits until a lease ends', async () => {
    const { cache, source } = setup();
    const held = await cache.acquire('a', source('a', 60));
    let loaded = false;
    const loading = cache.acquire('b', source('b', 60)).then((lease) => ((loaded = true), lease));
    await immediate();
    expect([loaded, held.value.released, cache.has('a')]).toEqual([false, false, true]);
    held.release();
    await loading;
    expect([held.value.released, cache.has('a'), cache.has('b')]).toEqual([true, false, true]);
  });

  it('refuses a load, and keeps what is in use, where no lease ends in time', async () => {
    const { cache, source, loads } = setup({ maxWaitForRoomMs: 20 });
    const held = await cache.acquire('a', source('a', 60));
    await expect(cache.acquire('b', source('b', 60))).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    expect(loads).toEqual(['a']);
    expect([held.value.released, cache.has('a'), cache.bytes]).toEqual([false, true, 60]);
  });

  it('lets nobody overtake a large load that waits for room', async () => {
    const { cache, source, loads } = setup();
    const held = await cache.acquire('a', source('a', 60));
    const loading = [cache.acquire('large', source('large', 90)), cache.acquire('small', source('small', 10))];
    await immediate();
    expect(loads).toEqual(['a']);
    held.release();
    await Promise.all(loading);
    expect(loads).toEqual(['a', 'large', 'small']);
  });

  it('counts a lease that is released twice once', async () => {
    const { cache, source } = setup({ maxWaitForRoomMs: 20 });
    const [one, two] = [await cache.acquire('a', source('a', 60)), await cache.acquire('a', source('a', 60))];
    one.release();
    one.release();
    await expect(cache.acquire('b', source('b', 60))).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    two.release();
    await cache.acquire('b', source('b', 60));
  });

  it('refuses what is larger than the budget without putting anything out', async () => {
    const { cache, use, loads } = setup();
    await use('a');
    await expect(use('b', 101)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE', message: expect.stringContaining('101 bytes') });
    expect(loads).toEqual(['a']);
    expect(cache.has('a')).toBe(true);
  });

  it('releases a discarded value after its last user, and loads another at once', async () => {
    const { cache, source } = setup();
    const broken = await cache.acquire('a', source('a'));
    cache.discard('a', 'its thread ended');
    const fresh = await cache.acquire('a', source('a'));
    expect(fresh.value).not.toBe(broken.value);
    expect(broken.value.released).toBe(false);
    expect(cache.states()).toContainEqual(expect.objectContaining({ key: 'a', state: 'RELEASING', reason: 'its thread ended' }));
    expect(cache.bytes).toBe(60);
    broken.release();
    await immediate();
    expect([broken.value.released, fresh.value.released, cache.bytes]).toEqual([true, false, 30]);
  });

  it('keeps the value that took the place of a discarded one, whoever finds the old one broken later', async () => {
    const { cache, source } = setup();
    const [early, late] = [await cache.acquire('a', source('a')), await cache.acquire('a', source('a'))];
    early.discard('its thread ended');
    const fresh = await cache.acquire('a', source('a'));
    late.discard('its thread ended');
    expect(cache.has('a')).toBe(true);
    for (const lease of [early, late, fresh]) lease.release();
    await immediate();
    expect([early.value.released, fresh.value.released, cache.bytes]).toEqual([true, false, 30]);
  });

  it('loads ahead without counting a request, and keeps what is pinned meanwhile', async () => {
    const reports: unknown[] = [];
    const { cache, source, use, loads } = setup({ maxWaitForRoomMs: 20, onLoad: (report) => reports.push(report) });
    const { value } = await use('old', 60);
    const unpin = cache.pin('old')!;
    await expect(cache.warm('new', source('new', 50))).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    expect([value.released, cache.has('old')]).toEqual([false, true]);
    unpin();
    unpin();
    await Promise.all([cache.warm('new', source('new', 50)), cache.warm('new', source('new', 50))]);
    expect([value.released, loads]).toEqual([true, ['old', 'new']]);
    expect(cache.states()).toMatchObject([{ key: 'new', state: 'READY', requests: 0 }]);
    expect(cache.pin('old')).toBeUndefined();
    expect(reports).toMatchObject([{ label: 'old' }, { label: 'new', error: { code: 'SERVICE_UNAVAILABLE' } }, { label: 'new' }]);
    expect(reports[2]).not.toHaveProperty('error');
  });

  it('waits for every lease before it closes, releases everything, and takes nothing new', async () => {
    const { cache, source, use } = setup();
    const idle = await use('a');
    const held = await cache.acquire('b', source('b'));
    let closed = false;
    const closing = cache.close().then(() => (closed = true));
    await expect(cache.acquire('c', source('c'))).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    await immediate();
    expect([closed, idle.value.released, held.value.released]).toEqual([false, true, false]);
    held.release();
    await closing;
    expect([held.value.released, cache.bytes]).toEqual([true, 0]);
  });
});

import { describe, expect, it } from 'vitest';
import { Batcher, type BatcherOptions, type BatchReport } from '../../../src/serving/batcher.js';

/** A computation of one number per image (its double) that the test lets go batch by batch. */
function controlled(options: Partial<BatcherOptions> = {}) {
  const batches: { inputs: number[]; finish: () => void; fail: (error: Error) => void }[] = [];
  const reports: BatchReport[] = [];
  const arrivals: (() => void)[] = [];
  const batcher = new Batcher({
    imageLength: 1,
    onBatch: (report) => reports.push(report),
    compute: (images, size) =>
      new Promise((resolve, reject) => {
        const inputs = Float32Array.from(images.flatMap((part) => [...part]));
        expect(inputs).toHaveLength(size);
        batches.push({ inputs: [...inputs], finish: () => resolve(inputs.map((value) => 2 * value)), fail: reject });
        arrivals.shift()?.();
      }),
    ...options,
  });
  /** The next batch that begins, if none has begun that the test has not seen yet. */
  let seen = 0;
  const nextBatch = async () => {
    if (batches.length <= seen) await new Promise<void>((resolve) => arrivals.push(resolve));
    return batches[seen++]!;
  };
  const send = (...values: number[]) => batcher.run(Float32Array.from(values), values.length);
  return { batcher, batches, reports, nextBatch, send };
}

const immediate = () => new Promise((resolve) => setImmediate(resolve));

describe('the batcher', () => {
  it('computes a request at once when nothing is computing', async () => {
    const { send, nextBatch, reports } = controlled();
    const answer = send(1, 2);
    (await nextBatch()).finish();
    expect(await answer).toMatchObject({ outputs: Float32Array.of(2, 4), largestBatchImages: 2 });
    expect(reports).toMatchObject([{ images: 2, requests: 1, reason: 'idle' }]);
  });

  it('lets what arrives during a batch join the next, in the order of arrival, and gives each request its own rows', async () => {
    const { send, nextBatch, reports } = controlled();
    const first = send(1);
    const one = await nextBatch();
    const others = [send(2, 3), send(4), send(5, 6)];
    one.finish();
    await first;
    const two = await nextBatch();
    expect(two.inputs).toEqual([2, 3, 4, 5, 6]);
    two.finish();
    const answers = await Promise.all(others);
    expect(answers.map(({ outputs }) => [...outputs])).toEqual([[4, 6], [8], [10, 12]]);
    expect(answers.map(({ largestBatchImages }) => largestBatchImages)).toEqual([5, 5, 5]);
    expect(reports.at(-1)).toMatchObject({ images: 5, requests: 3 });
  });

  it('never computes two batches at once', async () => {
    let computing = 0;
    let most = 0;
    const { batcher } = controlled({
      maxBatchImages: 2,
      compute: async (_, size) => {
        most = Math.max(most, ++computing);
        for (let turn = 0; turn < 3; turn++) await immediate();
        computing--;
        return new Float32Array(size);
      },
    });
    const answers: Promise<unknown>[] = [];
    for (let turn = 0; turn < 50; turn++) {
      answers.push(batcher.run(new Float32Array(1), 1));
      await immediate();
    }
    await Promise.all(answers);
    expect(most).toBe(1);
  });

  it('limits a batch by images, not by requests, and keeps a request that fits whole', async () => {
    const { send, nextBatch, reports } = controlled({ maxBatchImages: 4 });
    const answers = [send(1, 2, 3), send(4, 5), send(6, 7), send(8)];
    const sizes: number[][] = [];
    for (let batch = 0; batch < 3; batch++) {
      const { inputs, finish } = await nextBatch();
      sizes.push(inputs);
      finish();
    }
    await Promise.all(answers);
    expect(sizes).toEqual([[1, 2, 3], [4, 5, 6, 7], [8]]);
    expect(reports.map(({ reason }) => reason)).toEqual(['full', 'full', 'idle']);
  });

  it('cuts a request larger than a batch into parts and joins its answer again', async () => {
    const { send, nextBatch } = controlled({ maxBatchImages: 4 });
    const answer = send(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    for (const expected of [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]) {
      const { inputs, finish } = await nextBatch();
      expect(inputs).toEqual(expected);
      finish();
    }
    const { outputs, largestBatchImages } = await answer;
    expect([...outputs]).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    expect(largestBatchImages).toBe(4);
  });

  it('holds a batch back for company until the oldest request has waited maxDelayMs', async () => {
    const { send, nextBatch, reports, batches } = controlled({ maxDelayMs: 40 });
    const sentAt = performance.now();
    const answers = [send(1)];
    await immediate();
    await immediate();
    expect(batches).toHaveLength(0);
    answers.push(send(2));
    const batch = await nextBatch();
    expect(performance.now() - sentAt).toBeGreaterThanOrEqual(39);
    expect(batch.inputs).toEqual([1, 2]);
    batch.finish();
    const [older, younger] = await Promise.all(answers);
    expect(older!.queueMs).toBeGreaterThan(younger!.queueMs);
    expect(reports[0]!.reason).toBe('delay');
  });

  it('does not hold a full batch back', async () => {
    const { send, nextBatch, reports } = controlled({ maxDelayMs: 3_600_000, maxBatchImages: 2 });
    const answers = [send(1), send(2)];
    (await nextBatch()).finish();
    await Promise.all(answers);
    expect(reports[0]!.reason).toBe('full');
  });

  it('refuses at once what its queue does not hold, counted in images, and takes more once there is room', async () => {
    const { batcher, send, nextBatch } = controlled({ maxQueueImages: 3 });
    const first = send(1);
    const one = await nextBatch();
    const second = send(2, 3);
    await expect(send(4, 5)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    const third = send(6);
    expect(batcher.queuedImages).toBe(3);
    one.finish();
    await first;
    (await nextBatch()).finish();
    await Promise.all([second, third]);
    expect(batcher.queuedImages).toBe(0);
  });

  it('takes a request that alone is larger than the queue while nothing waits', async () => {
    const { send, nextBatch } = controlled({ maxQueueImages: 2 });
    const large = send(1, 2, 3);
    await expect(send(4)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    (await nextBatch()).finish();
    expect([...(await large).outputs]).toEqual([2, 4, 6]);
  });

  it('goes by new rules with what waits already: smaller batches, no delay', async () => {
    const { batcher, send, nextBatch, batches } = controlled({ maxDelayMs: 3_600_000, maxBatchImages: 4 });
    const answers = [send(1, 2, 3), send(4)];
    (await nextBatch()).finish();
    answers.push(send(5, 6), send(7));
    await immediate();
    await immediate();
    expect(batches).toHaveLength(1);
    batcher.configure({ maxBatchImages: 1, maxDelayMs: 0, maxQueueImages: 3 });
    for (const expected of [[5, 6], [7]]) {
      const { inputs, finish } = await nextBatch();
      // A request that was taken whole stays whole.
      expect(inputs).toEqual(expected);
      finish();
    }
    await Promise.all(answers);
  });

  it('takes a request whose client gave up out of the queue, with all its parts', async () => {
    const { batcher, send, nextBatch } = controlled({ maxBatchImages: 2 });
    const first = send(1);
    const one = await nextBatch();
    const client = new AbortController();
    const given = batcher.run(Float32Array.of(7, 8, 9), 3, client.signal);
    const last = send(2);
    client.abort(new Error('gone'));
    await expect(given).rejects.toThrow('gone');
    expect(batcher.queuedImages).toBe(1);
    one.finish();
    const two = await nextBatch();
    expect(two.inputs).toEqual([2]);
    two.finish();
    expect([...(await last).outputs]).toEqual([4]);
    await first;
  });

  it('never queues what was given up before it came', async () => {
    const { batcher } = controlled();
    await expect(batcher.run(Float32Array.of(1), 1, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
    expect(batcher.queuedImages).toBe(0);
  });

  it('fails the requests of a failed batch and goes on with the others', async () => {
    const { send, nextBatch, batcher } = controlled({ maxBatchImages: 2 });
    const split = send(1, 2, 3, 4);
    const other = send(5);
    (await nextBatch()).fail(new Error('broken'));
    await expect(split).rejects.toThrow('broken');
    const next = await nextBatch();
    expect(next.inputs).toEqual([5]);
    next.finish();
    expect([...(await other).outputs]).toEqual([10]);
    expect(batcher.queuedImages).toBe(0);
  });

  it('measures waiting and computing apart', async () => {
    const { send, nextBatch } = controlled();
    const first = send(1);
    const one = await nextBatch();
    const second = send(2);
    await new Promise((resolve) => setTimeout(resolve, 30));
    one.finish();
    const two = await nextBatch();
    two.finish();
    const [{ queueMs, computeMs }, waited] = await Promise.all([first, second]);
    expect(queueMs).toBeLessThan(25);
    expect(computeMs).toBeGreaterThanOrEqual(29);
    expect(waited.queueMs).toBeGreaterThanOrEqual(29);
    expect(waited.computeMs).toBeLessThan(25);
  });

  it('answers all that it has taken before it stops, without delay, and takes nothing new', async () => {
    const { batcher, send, nextBatch } = controlled({ maxDelayMs: 3_600_000, maxBatchImages: 2 });
    const answers = [send(1, 2), send(3)];
    const one = await nextBatch();
    let stopped = false;
    const stopping = batcher.stop().then(() => (stopped = true));
    await expect(send(4)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    one.finish();
    const two = await nextBatch();
    expect(stopped).toBe(false);
    two.finish();
    await stopping;
    expect((await Promise.all(answers)).map(({ outputs }) => [...outputs])).toEqual([[2, 4], [6]]);
  });

  it('stops at once when there is nothing to do', async () => {
    await controlled().batcher.stop();
  });
});

import { describe, expect, it } from 'vitest';
import { Admission } from '../../../src/serving/admission.js';

const MIB = 1024 ** 2;

/** A request under way. */
function request(admission: Admission, images: number, bytes = 0) {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const computed = new Promise<void>((onSuccess, onFailure) => ([resolve, reject] = [onSuccess, onFailure]));
  const answer = admission.admit(images, async ({ hold }) => {
    hold(bytes);
    await computed;
  });
  answer.catch(() => undefined);
  return { answer, resolve, reject };
}

describe('admission', () => {
  it('lets 1,024 images in, refuses the next at once, and lets it in when others are answered or fail', async () => {
    const pending: number[] = [];
    const admission = new Admission((images) => pending.push(images));
    const requests = Array.from({ length: 16 }, () => request(admission, 64));
    await expect(request(admission, 1).answer).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      message: '1024 images wait already, of at most 1024',
    });
    requests[0]!.reject(new Error('no image'));
    await expect(requests[0]!.answer).rejects.toThrow('no image');
    const next = request(admission, 64);
    for (const { resolve } of [...requests, next]) resolve();
    await next.answer;
    expect([admission.pendingImages, Math.max(...pending), pending.at(-1)]).toEqual([0, 1024, 0]);
  });

  it('lets images in that fill 512 MiB, or those of one request however large', async () => {
    const admission = new Admission(() => undefined);
    const large = request(admission, 64, 800 * MIB);
    await expect(request(admission, 1, 1).answer).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    large.resolve();
    await large.answer;
    const two = [request(admission, 32, 256 * MIB), request(admission, 32, 256 * MIB)];
    await expect(request(admission, 1, 1).answer).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(admission.pendingImages).toBe(64);
    for (const { resolve } of two) resolve();
    await Promise.all(two.map(({ answer }) => answer));
    request(admission, 64, 800 * MIB).resolve();
  });

  it('counts a request once that another version has to answer', async () => {
    const admission = new Admission(() => undefined);
    await admission.admit(1, async ({ hold }) => {
      hold(400 * MIB);
      hold(300 * MIB);
      const other = request(admission, 1, 212 * MIB);
      other.resolve();
      await other.answer;
    });
  });
});

import type { Images } from './session.js';

/** The arithmetic of a batch: which rows of it are whose. */

export interface BatchedResult {
  /** (size, K + H' W') in the order of the request's images: of each the probabilities, then its map, if any. */
  readonly outputs: Float32Array;
  /** Images in the largest batch that the request had a part in. */
  readonly largestBatchImages: number;
  /** From arrival until the request's first batch began. */
  readonly queueMs: number;
  /** Of the request's batches, together. */
  readonly computeMs: number;
}

/** A request on its way through one or more batches. */
export interface PendingRequest {
  readonly images: Images;
  readonly size: number;
  readonly arrivedAt: number;
  readonly resolve: (result: BatchedResult) => void;
  readonly reject: (reason: unknown) => void;
  outputs: Float32Array | undefined;
  remainingImages: number;
  startedAt: number | undefined;
  computeMs: number;
  largestBatchImages: number;
}

/** Images `start` to `start + size` of a request. */
export interface Part {
  readonly request: PendingRequest;
  readonly start: number;
  readonly size: number;
}

export function newRequest(
  images: Images,
  size: number,
  resolve: PendingRequest['resolve'],
  reject: PendingRequest['reject'],
): PendingRequest {
  return {
    images,
    size,
    resolve,
    reject,
    arrivedAt: performance.now(),
    outputs: undefined,
    remainingImages: size,
    startedAt: undefined,
    computeMs: 0,
    largestBatchImages: 0,
  };
}

/** The images of one batch, part by part. A request that was not cut is not copied. */
export const imagesOf = (parts: readonly Part[], imageLength: number): Images[] =>
  parts.map(({ request: { images, size: all }, start, size }) =>
    size === all ? images : images.slice(start * imageLength, (start + size) * imageLength),
  );

/** Gives each request its rows, and answers those that have all of them. */
export function scatter(parts: Part[], outputs: Float32Array, images: number, computeMs: number): void {
  const width = outputs.length / images;
  let at = 0;
  for (const { request, start, size } of parts) {
    request.outputs ??= new Float32Array(request.size * width);
    request.outputs.set(outputs.subarray(at * width, (at + size) * width), start * width);
    at += size;
    request.remainingImages -= size;
    request.computeMs += computeMs;
    request.largestBatchImages = Math.max(request.largestBatchImages, images);
    if (request.remainingImages === 0) request.resolve(resultOf(request));
  }
}

const resultOf = ({ outputs, largestBatchImages, arrivedAt, startedAt, computeMs }: PendingRequest): BatchedResult => ({
  outputs: outputs!,
  largestBatchImages,
  queueMs: startedAt! - arrivedAt,
  computeMs,
});

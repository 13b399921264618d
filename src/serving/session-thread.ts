import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { writeNormalised } from '../domain/normalisation.js';
import { needsExactKernels } from './integer-kernels.js';
import type { Images, SessionOptions } from './session.js';

/**
 * The thread that one `Session` (session.ts) computes in. onnxruntime-node's `run` and `create` return promises and yet
 * compute on the thread that calls them (microsoft/onnxruntime issues 19611 and 26968; measured: a timer of 1 ms fired
 * once in a batch of 155 ms), so that thread must not be the one that answers requests.
 */

export type Task =
  | ({ readonly kind: 'load'; readonly onnx: Uint8Array; readonly output: string } & Omit<SessionOptions, 'output'>)
  /** `images`: `size` in all. */
  | { readonly kind: 'run'; readonly images: readonly Images[]; readonly size: number }
  | { readonly kind: 'release' };

export interface Request {
  readonly id: number;
  readonly task: Task;
}

/**
 * (H', W') of the class activation map behind each image's probabilities; null where the model has none, or another
 * output is asked for.
 */
export type MapShape = readonly [height: number, width: number] | null;

/**
 * `output` of `run`: (size, K), or (size, K + H' W') of an image's probabilities and then its map. `load` and `release`
 * have none.
 */
export type Reply = { readonly id: number } & (
  | { readonly output: Float32Array | null; readonly mapShape: MapShape }
  | { readonly error: string }
);

const port = parentPort!;
let session: InferenceSession | undefined;
/** Which of the model's outputs `run` gives. */
let outputName: string;
/** [C, H, W] */
let imageShape: number[] = [];
/** Numbers that make one image. */
let imageLength = 0;
/** Of `normalisationTables`. */
let tables: Float32Array | undefined;
/** Where a batch is put together, kept since memory that is new costs as much as filling it … */
let batch = new Float32Array();
/** … up to this size: for the images of larger ones the network takes so long that it does not count. */
const KEPT_BATCH_BYTES = 64 * 1024 ** 2;
let mapShape: MapShape = null;

// One after the other: a release must not overtake a run.
let last = Promise.resolve();
port.on('message', (request: Request) => {
  last = last.then(() => answer(request));
});

async function answer({ id, task }: Request): Promise<void> {
  try {
    const output = await perform(task);
    const reply: Reply = { id, output, mapShape };
    port.postMessage(reply, output === null ? [] : [output.buffer as ArrayBuffer]);
  } catch (error) {
    const reply: Reply = { id, error: error instanceof Error ? error.message : String(error) };
    port.postMessage(reply);
  }
  // The model's file is garbage now, and a thread that waits for work collects none: it would stay for good.
  if (task.kind === 'load') setImmediate(collectGarbage);
  if (task.kind === 'release') port.close();
}

async function perform(task: Task): Promise<Float32Array | null> {
  if (task.kind === 'run') return infer(together(task.images), task.size);
  await (task.kind === 'load' ? load(task) : session?.release());
  return null;
}

async function load({ onnx, threads, output, ...options }: Extract<Task, { kind: 'load' }>): Promise<void> {
  outputName = output;
  tables = options.tables;
  session = await InferenceSession.create(onnx, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    // The arena would keep the activations of the largest batch there ever was: 400 MB for ResNet-50 at 32 images.
    enableCpuMemArena: false,
    extra: {
      session: {
        x64quantprecision: needsExactKernels() ? '1' : '0',
        // Its threads would turn in a loop between operators and batches, on the cores that decoding and Node.js want.
        intra_op: { allow_spinning: '0' },
      },
    },
  });
  const [input] = session.inputMetadata;
  if (input?.isTensor !== true) throw new Error('the model has no input tensor');
  imageShape = input.shape.slice(1).map(Number);
  imageLength = imageShape.reduce((product, size) => product * size, 1);
  mapShape = output === PROBABILITIES ? mapShapeOf(session) : null;
  // The first run allocates and packs: it should not be a user's.
  await infer(new Float32Array(imageLength), 1);
}

/** As the network takes them. */
function together(images: readonly Images[]): Float32Array {
  const [first] = images;
  if (images.length === 1 && first instanceof Float32Array) return first;
  const length = images.reduce((sum, part) => sum + part.length, 0);
  const whole = batch.length < length ? new Float32Array(length) : batch;
  if (whole.byteLength <= KEPT_BATCH_BYTES) batch = whole;
  let at = 0;
  for (const part of images) {
    const target = whole.subarray(at, at + part.length);
    if (part instanceof Float32Array) target.set(part);
    else normalise(part, target);
    at += part.length;
  }
  return whole.subarray(0, length);
}

function normalise(pixels: Uint8Array, target: Float32Array): void {
  if (!tables) throw new Error('pixels need the tables that normalise them');
  for (let at = 0; at < pixels.length; at += imageLength)
    writeNormalised(pixels.subarray(at, at + imageLength), target.subarray(at, at + imageLength), tables);
}

/** @param images (size, C, H, W) float32, normalised */
async function infer(images: Float32Array, size: number): Promise<Float32Array> {
  const input = new Tensor('float32', images, [size, ...imageShape]);
  if (mapShape === null) {
    const { [outputName]: output } = await session!.run({ input }, [outputName]);
    // A copy of its own, since onnxruntime's memory cannot be handed to another thread.
    return new Float32Array(output!.data as Float32Array);
  }
  const { [PROBABILITIES]: probabilities, [MAP]: maps } = await session!.run({ input }, [PROBABILITIES, MAP]);
  return besides(probabilities!.data as Float32Array, maps!.data as Float32Array, size);
}

const PROBABILITIES = 'probabilities';
const MAP = 'class_activation_map';

/** A model that was published before there were maps, that is in eight bits or that was made elsewhere has none. */
function mapShapeOf({ outputMetadata }: InferenceSession): MapShape {
  const map = outputMetadata.find(({ name }) => name === MAP);
  if (map?.isTensor !== true) return null;
  const [, height, width] = map.shape.map(Number);
  return [height!, width!];
}

/** (size, A) and (size, B) as (size, A + B). */
function besides(a: Float32Array, b: Float32Array, size: number): Float32Array {
  const [widthA, widthB] = [a.length / size, b.length / size];
  const rows = new Float32Array(a.length + b.length);
  for (let row = 0; row < size; row++) {
    rows.set(a.subarray(row * widthA, (row + 1) * widthA), row * (widthA + widthB));
    rows.set(b.subarray(row * widthB, (row + 1) * widthB), row * (widthA + widthB) + widthA);
  }
  return rows;
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

import { Worker } from 'node:worker_threads';
import type { MapShape, Reply, Request, Task } from './session-thread.js';

/** The session's thread ended while it was needed; another session of the same model may do better. */
export class SessionLostError extends Error {
  override readonly name = 'SessionLostError';
}

/**
 * One or more images, one behind the other: pixels of 8 bits (N, H, W, C), which the session normalises, or what the
 * network takes itself, (N, C, H, W) float32.
 */
export type Images = Uint8Array | Float32Array;

export interface SessionOptions {
  /** Threads that one batch computes with (onnxruntime's intra-op threads). */
  readonly threads: number;
  /** Of `normalisationTables`: for sessions that are given pixels. */
  readonly tables?: Float32Array;
  /**
   * Which of the model's outputs `run` gives.
   * @default 'probabilities'
   */
  readonly output?: string;
}

interface Waiting {
  readonly resolve: (output: Float32Array | null) => void;
  readonly reject: (error: Error) => void;
}

/**
 * An ONNX model that answers, in a thread of its own: neither loading nor computing holds up the event loop, models do
 * not wait for each other, and the end of the thread releases everything that onnxruntime and V8 held for it.
 */
export class Session {
  readonly #thread = new Worker(new URL('./session-thread.js', import.meta.url));
  readonly #exited = new Promise((resolve) => this.#thread.once('exit', resolve));
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #mapShape: MapShape = null;
  /** Set once the session takes no more work. */
  #over: SessionLostError | undefined;

  /**
   * Loads the model and runs it once, so that the first user does not pay for it.
   * @param onnx the file, or what comes to it while the thread starts; where it owns its buffer that is handed over, so
   *   do not use it afterwards
   */
  static async open(
    onnx: Uint8Array | Promise<Uint8Array>,
    { output = 'probabilities', ...options }: SessionOptions,
  ): Promise<Session> {
    const session = new Session();
    try {
      const file = owned(await onnx);
      await session.#ask({ kind: 'load', onnx: file, output, ...options }, [file.buffer]);
      return session;
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  private constructor() {
    this.#thread.on('message', (reply: Reply) => this.#receive(reply));
    this.#thread.on('error', (error) => this.#end(`the inference thread failed: ${error.message}`));
    this.#thread.on('exit', (code) => this.#end(`the inference thread ended with code ${code}`));
  }

  /** Of the class activation maps; null where `run` gives none. */
  get mapShape(): MapShape {
    return this.#mapShape;
  }

  /**
   * @param images `size` in all; buffers that they own are handed over
   * @returns of the output that it was opened for, (size, K); with a `mapShape` (size, K + H' W'), each image's
   *   probabilities and then its likeliest class's map
   * @throws SessionLostError
   */
  async run(images: Images | readonly Images[], size: number): Promise<Float32Array> {
    const parts = (ArrayBuffer.isView(images) ? [images] : images).map(owned);
    return (await this.#ask({ kind: 'run', images: parts, size }, parts.map(({ buffer }) => buffer)))!;
  }

  /** Frees the memory, once the runs under way are done. Safe to call twice. */
  async release(): Promise<void> {
    // Where the runtime fails to release, the end of the thread still does.
    if (this.#over === undefined) this.#ask({ kind: 'release' }).catch(() => undefined);
    this.#over ??= new SessionLostError('the session was released');
    await this.#exited;
  }

  #ask(task: Task, handedOver: ArrayBuffer[] = []): Promise<Float32Array | null> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    const request: Request = { id: this.#nextId++, task };
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.#thread.postMessage(request, handedOver);
    });
  }

  #receive(reply: Reply): void {
    const asked = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('error' in reply) return asked?.reject(new Error(`onnxruntime: ${reply.error}`));
    this.#mapShape = reply.mapShape;
    asked?.resolve(reply.output);
  }

  #end(why: string): void {
    this.#over ??= new SessionLostError(why);
    for (const { reject } of this.#waiting.values()) reject(new SessionLostError(why));
    this.#waiting.clear();
  }
}

/**
 * Memory that a session takes. Measured (float32, glibc): 290 MB for ResNet-50, whose ONNX file has 102 MB, and 15 MB
 * for resnet20 (1 MB), most of that its thread. What is more than the file is onnxruntime's parsed and packed copies of
 * the weights, of which the allocator gives little back. The activations of a batch come on top while it runs.
 */
export const estimateSessionBytes = (onnxBytes: number): number => 3 * onnxBytes + 16 * 1024 ** 2;

type Owned<View> = View & { readonly buffer: ArrayBuffer };

/** A view of a part of a buffer cannot be handed over, and would be sent with the whole of it: it is copied. */
function owned<View extends Images>(view: View): Owned<View> {
  const isWhole = view.buffer instanceof ArrayBuffer && view.buffer.byteLength === view.byteLength;
  return (isWhole ? view : view.slice()) as Owned<View>;
}

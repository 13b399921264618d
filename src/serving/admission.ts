import { ResidualError } from '../errors.js';

/** Images in the process, from their arrival to their answer. As pixels of 224x224x3 they take 154 MB. */
const MAX_PENDING_IMAGES = 1024;
/** What networks with larger inputs take in place of those; a request that is alone may take more. */
const MAX_PENDING_BYTES = 512 * 1024 ** 2;

/** A request's part of what is pending. */
export interface Admitted {
  /**
   * Counts the pixels or numbers that the network takes, once it is known which network that is.
   * @throws RATE_LIMITED
   */
  hold(bytes: number): void;
}

/** Bounds what requests wait with ahead of a model's own queue: what is decoded, computed and drawn takes memory. */
export class Admission {
  #images = 0;
  #bytes = 0;

  constructor(private readonly onChange: (pendingImages: number) => void) {}

  get pendingImages(): number {
    return this.#images;
  }

  /** @throws RATE_LIMITED; what `answer` throws */
  async admit<T>(images: number, answer: (admitted: Admitted) => Promise<T>): Promise<T> {
    const pending = this.#images + images;
    if (pending > MAX_PENDING_IMAGES)
      throw new ResidualError('RATE_LIMITED', `${this.#images} images wait already, of at most ${MAX_PENDING_IMAGES}`);
    let held = 0;
    this.#count(images);
    try {
      return await answer({
        hold: (bytes) => {
          this.#checkRoom(bytes, held);
          this.#bytes += bytes - held;
          held = bytes;
        },
      });
    } finally {
      this.#bytes -= held;
      this.#count(-images);
    }
  }

  #checkRoom(bytes: number, held: number): void {
    const others = this.#bytes - held;
    if (others === 0 || others + bytes <= MAX_PENDING_BYTES) return;
    const message = `images of ${others} bytes wait already, of at most ${MAX_PENDING_BYTES}, and these have ${bytes}`;
    throw new ResidualError('RATE_LIMITED', message);
  }

  #count(images: number): void {
    this.#images += images;
    this.onChange(this.#images);
  }
}

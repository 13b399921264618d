import type { Redis } from 'ioredis';
import { connectRedis, type RedisConfig } from './queue.js';

/**
 * News between processes over Redis pub/sub, channels under `<prefix>:events`. News may be lost (Redis restarts, nobody
 * listens): what it tells of is always in the database, and a reader looks there from time to time as well.
 */
export interface EventBus {
  /** Never throws: news that does not get through is dropped. `payload`: plain JSON. */
  publish(channel: string, payload: unknown): Promise<void>;
  /** Payloads published after the call, until `signal` or `close`. A slow reader finds only the newest `BACKLOG`. */
  subscribe(channel: string, signal: AbortSignal): AsyncIterable<unknown>;
  close(): Promise<void>;
}

const BACKLOG = 100;

export function createEventBus(config: RedisConfig): EventBus {
  return new RedisEventBus(config);
}

class RedisEventBus implements EventBus {
  private readonly publisher: Redis;
  private readonly subscriber: Redis;
  private readonly readers = new Map<string, Set<Reader>>();
  private closed = false;

  constructor(private readonly config: RedisConfig) {
    this.publisher = connectRedis(config.url, 'bounded');
    // ioredis subscribes anew by itself when Redis is back.
    this.subscriber = connectRedis(config.url, 'patient');
    for (const client of [this.publisher, this.subscriber]) client.on('error', (error) => config.onError?.(error));
    this.subscriber.on('message', (name: string, text: string) => this.deliver(name, text));
  }

  async publish(channel: string, payload: unknown): Promise<void> {
    await this.publisher.publish(this.name(channel), JSON.stringify(payload)).catch(() => undefined);
  }

  subscribe(channel: string, signal: AbortSignal): AsyncIterable<unknown> {
    const reader = new Reader();
    const name = this.name(channel);
    if (this.closed || signal.aborted) reader.end();
    else this.add(name, reader);
    const leave = () => {
      reader.end();
      this.drop(name, reader);
    };
    signal.addEventListener('abort', leave, { once: true });
    return reader.read(() => {
      signal.removeEventListener('abort', leave);
      leave();
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const reader of [...this.readers.values()].flatMap((readers) => [...readers])) reader.end();
    this.readers.clear();
    this.publisher.disconnect();
    this.subscriber.disconnect();
  }

  private add(name: string, reader: Reader): void {
    const readers = this.readers.get(name) ?? new Set();
    this.readers.set(name, readers.add(reader));
    if (readers.size === 1) this.subscriber.subscribe(name).catch((error: Error) => this.report(error));
  }

  private drop(name: string, reader: Reader): void {
    const readers = this.readers.get(name);
    if (!readers?.delete(reader) || readers.size > 0) return;
    this.readers.delete(name);
    this.subscriber.unsubscribe(name).catch((error: Error) => this.report(error));
  }

  private deliver(name: string, text: string): void {
    const payload: unknown = JSON.parse(text);
    for (const reader of this.readers.get(name) ?? []) reader.push(payload);
  }

  private report(error: Error): void {
    if (!this.closed) this.config.onError?.(error);
  }

  private name(channel: string): string {
    return `${this.config.prefix}:events:${channel}`;
  }
}

/** A queue of payloads that one consumer waits on. */
class Reader {
  private readonly waiting: unknown[] = [];
  private ended = false;
  private wake: (() => void) | undefined;

  push(payload: unknown): void {
    this.waiting.push(payload);
    if (this.waiting.length > BACKLOG) this.waiting.shift();
    this.wake?.();
  }

  end(): void {
    this.ended = true;
    this.wake?.();
  }

  async *read(onLeave: () => void): AsyncGenerator<unknown> {
    try {
      for (;;) {
        while (this.waiting.length > 0) yield this.waiting.shift();
        if (this.ended) return;
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
    } finally {
      onLeave();
    }
  }
}

import { SingleBar } from 'cli-progress';
import { byteSize } from './tables.js';

/** Bytes that are sent or received: a bar on a terminal, else nothing. */
export interface TransferDisplay {
  add(bytes: number): void;
  close(): void;
}

export function displayTransfer(what: string, totalBytes: number): TransferDisplay {
  if (!process.stderr.isTTY) return { add: () => undefined, close: () => undefined };
  const format = `  {bar} {percentage}% | ${what} | {done} of ${byteSize(totalBytes)}`;
  const bar = new SingleBar({ format, stream: process.stderr, hideCursor: true, barsize: 24 });
  let done = 0;
  bar.start(totalBytes, 0, { done: byteSize(0) });
  return {
    add(bytes) {
      done += bytes;
      bar.update(done, { done: byteSize(done) });
    },
    close: () => bar.stop(),
  };
}

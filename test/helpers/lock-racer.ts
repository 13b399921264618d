import { parentPort, workerData } from 'node:worker_threads';
import { lockDataDir } from '../../src/local/lock.js';

/** A thread that goes for the lock of each folder at the very moment at which its rivals do. */
export interface Race {
  readonly folders: readonly string[];
  readonly rivals: number;
  /** Int32, by folder: how many have come to it. */
  readonly arrived: SharedArrayBuffer;
}

const { folders, rivals, arrived } = workerData as Race;
const counts = new Int32Array(arrived);

parentPort!.postMessage(
  folders.map((folder, index) => {
    Atomics.add(counts, index, 1);
    while (Atomics.load(counts, index) < rivals);
    try {
      lockDataDir(folder);
      return 'TAKEN';
    } catch (error) {
      return (error as { code: string }).code;
    }
  }),
);

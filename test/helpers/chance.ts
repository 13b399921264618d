import { CounterRandom, STREAM } from '../../src/domain/seed.js';

/** Numbers from [0, 1) for a test that chooses its moments by chance, told by a seed that is printed. */
export function chance(name: string): () => number {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);
  console.error(`${name}: TEST_SEED=${seed}`);
  const random = new CounterRandom(seed, STREAM.sample, 0);
  return () => random.uniform();
}

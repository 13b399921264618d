import type { CounterRandom } from './seed.js';

/** A draw from Beta(alpha, alpha), in [0, 1]: X / (X + Y) of two draws from Gamma(alpha). `alpha` above 0. */
export function drawBeta(random: CounterRandom, alpha: number): number {
  // By logarithms, since a Gamma of small shape is often too small for a double.
  const [first, second] = [drawLogGamma(random, alpha), drawLogGamma(random, alpha)];
  return first === second ? 0.5 : 1 / (1 + Math.exp(second - first));
}

/**
 * The logarithm of a draw from Gamma(shape, 1): G. Marsaglia and W. W. Tsang, "A simple method for generating gamma
 * variables", ACM Transactions on Mathematical Software 26 (2000). A shape below 1 is one more with a factor
 * U^(1 / shape), as section 6 has it.
 */
function drawLogGamma(random: CounterRandom, shape: number): number {
  if (shape < 1) return drawLogGamma(random, shape + 1) + Math.log(1 - random.uniform()) / shape;
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const normal = random.normal();
    const v = (1 + c * normal) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < normal ** 2 / 2 + d - d * v + d * Math.log(v)) return Math.log(d * v);
  }
}

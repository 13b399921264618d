/** The process that `load` starts: autocannon, with latencies in fractions of a millisecond, which it rounds. */
import { text } from 'node:stream/consumers';
import autocannon from 'autocannon';
import { rounded } from './figures.js';
import { countProbabilities, type Load, type LoadFigures } from './load.js';

const { url, headers, bodies, connections, probabilities, seconds, amount } = JSON.parse(
  await text(process.stdin),
) as Load;
const latenciesMs: number[] = [];
const startedAt = performance.now();
let endedAt = startedAt;
const options: autocannon.Options = {
  url,
  connections,
  ...(amount === undefined ? { duration: seconds! } : { amount }),
  timeout: 60,
  requests: bodies.map((body) => ({
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })),
  verifyBody: (body) => countProbabilities(String(body)) === probabilities,
};
const { errors, mismatches, non2xx } = await new Promise<autocannon.Result>((resolve, reject) => {
  const client = autocannon(options, (error: Error | null, result) => (error ? reject(error) : resolve(result)));
  client.on('response', (_client, _statusCode, _bytes, latencyMs) => {
    latenciesMs.push(latencyMs);
    endedAt = performance.now();
  });
});
latenciesMs.sort((a, b) => a - b);
const quantile = (q: number) => rounded(latenciesMs[Math.max(0, Math.ceil(q * latenciesMs.length) - 1)] ?? 0);
const figures: LoadFigures = {
  requestsPerSecond: rounded((1_000 * latenciesMs.length) / (endedAt - startedAt), 1),
  p50Ms: quantile(0.5),
  p99Ms: quantile(0.99),
  requests: latenciesMs.length,
  // What is not 2xx holds no probabilities either, so it is among the mismatches.
  failures: errors + Math.max(mismatches, non2xx),
};
process.stdout.write(JSON.stringify(figures));

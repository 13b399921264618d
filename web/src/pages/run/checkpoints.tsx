import { age, bytes, count } from '../../parts/figures';
import { Wide } from '../../parts/wide';
import type { RunState } from '../run';

export function Checkpoints({ of: checkpoints }: { of: RunState['checkpoints'] }) {
  if (checkpoints.length === 0) return null;
  return (
    <section className="card">
      <h2>Checkpoints</h2>
      <Wide label="Checkpoints">
        <table>
          <thead>
            <tr>
              <th scope="col" className="number">Step</th>
              <th scope="col" className="number">Epochs</th>
              <th scope="col" className="number">Size</th>
              <th scope="col" className="number">Age</th>
              <th scope="col">SHA-256</th>
            </tr>
          </thead>
          <tbody>
            {checkpoints.map((checkpoint) => (
              <tr key={checkpoint.step}>
                <td className="number">{count(checkpoint.step)}</td>
                <td className="number">{checkpoint.epoch}</td>
                <td className="number">{bytes(checkpoint.bytes)}</td>
                <td className="number">{age(checkpoint.createdAt)}</td>
                <td><code>{checkpoint.sha256.slice(0, 16)}…</code></td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
    </section>
  );
}

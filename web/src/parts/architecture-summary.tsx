import { useState } from 'react';
import { graphql } from '../gql';
import type { ArchitecturePartsFragment } from '../gql/graphql';
import { shapeOf } from './architecture';
import { ArchitectureDiagram } from './architecture-diagram';
import { bytes, count } from './figures';
import { Wide } from './wide';

graphql(`
  fragment ArchitectureParts on Architecture {
    preset
    definition
    depth
    parameters
    flops
    activationBytes
    layers {
      name
      kind
      outputShape
      parameters
      flops
    }
  }
`);

/** A network in figures, as a drawing, and layer by layer. */
export function ArchitectureSummary({ of }: { of: ArchitecturePartsFragment }) {
  return (
    <>
      <dl className="facts">
        <div><dt>Depth</dt><dd>{of.depth} layers</dd></div>
        <div><dt>Parameters</dt><dd>{count(of.parameters)}</dd></div>
        <div><dt>FLOPs, one image</dt><dd>{flops(of.flops)}</dd></div>
        <div><dt>Activations at the peak</dt><dd>{bytes(of.activationBytes)}</dd></div>
      </dl>
      <ArchitectureDiagram layers={of.layers} />
      <Layers layers={of.layers} />
    </>
  );
}

/** A page is slow to draw more. */
const LISTED = 500;

function Layers({ layers }: { layers: ArchitecturePartsFragment['layers'] }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>All {layers.length} layers</summary>
      {isOpen && (
        <Wide label="Layers" tall>
          <table>
            <thead>
              <tr>
                <th scope="col">Layer</th><th scope="col">Kind</th><th scope="col">Output C × H × W</th>
                <th scope="col" className="number">Parameters</th><th scope="col" className="number">FLOPs</th>
              </tr>
            </thead>
            <tbody>
              {layers.slice(0, LISTED).map((layer) => (
                <tr key={layer.name}>
                  <td><code>{layer.name}</code></td><td>{layer.kind}</td><td>{shapeOf(layer.outputShape)}</td>
                  <td className="number">{count(layer.parameters)}</td><td className="number">{count(layer.flops)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {layers.length > LISTED && <p className="hint">… and {layers.length - LISTED} more</p>}
        </Wide>
      )}
    </details>
  );
}

const UNITS = ['', ' M', ' G', ' T'];

/** In millions and more, as papers give them. */
function flops(value: number | string): string {
  let rest = Number(value);
  if (rest < 1e5) return count(rest);
  rest /= 1e6;
  let unit = 1;
  for (; rest >= 1000 && unit < UNITS.length - 1; unit++) rest /= 1000;
  return `${rest.toPrecision(3)}${UNITS[unit]}`;
}

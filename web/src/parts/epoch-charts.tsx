import { LineChart, type Line } from './line-chart';

interface EpochChartsProps {
  /** Numbers of the epochs. */
  readonly x: readonly number[];
  readonly accuracy: readonly Line[];
  readonly loss: readonly Line[];
}

/** The two plots of the notebook that this all began with. */
export function EpochCharts({ x, accuracy, loss }: EpochChartsProps) {
  return (
    <div className="columns">
      <section className="card">
        <LineChart title="Accuracy" xLabel="epoch" yLabel="accuracy" x={x} lines={accuracy} />
      </section>
      <section className="card">
        <LineChart title="Loss" xLabel="epoch" yLabel="loss" x={x} lines={loss} />
      </section>
    </div>
  );
}

import { useEffect, useEffectEvent, useMemo } from 'react';
import { useQuery } from 'urql';
import { useAskAgain } from '../../api/use-ask-again';
import { graphql } from '../../gql';
import { EpochCharts } from '../../parts/epoch-charts';
import { LineChart, type Line } from '../../parts/line-chart';
import type { Epoch } from './history';

/** Of its epochs. */
export function RunCharts({ history }: { history: readonly Epoch[] }) {
  const drawn = useMemo(
    () => ({
      x: history.map(({ epoch }) => epoch),
      accuracy: curves(history, 'trainAccuracy', 'validationAccuracy'),
      loss: curves(history, 'trainLoss', 'validationLoss'),
    }),
    [history],
  );
  if (history.length === 0) return <p className="card hint">The curves begin with the first complete epoch.</p>;
  return <EpochCharts {...drawn} />;
}

type Metric = Exclude<keyof Epoch, '__typename'>;

const curves = (history: readonly Epoch[], training: Metric, validation: Metric): Line[] => [
  { label: 'training', values: history.map((epoch) => epoch[training]) },
  { label: 'validation', values: history.map((epoch) => epoch[validation]) },
];

const STEPS = graphql(`
  query RunSteps($id: ID!) {
    run(id: $id) {
      id
      steps(maxPoints: 500) { step loss learningRate imagesPerSecond }
    }
  }
`);

/** Reading the steps of a long run is work for the server. */
const ASK_AGAIN_MS = 2_000;

/** @param step how far the run is: what is drawn follows it */
export function StepCharts({ id, step }: { id: string; step: number }) {
  const [{ data }, ask] = useQuery({ query: STEPS, variables: { id }, requestPolicy: 'network-only' });
  const follow = useEffectEvent(useAskAgain(() => ask({ requestPolicy: 'network-only' }), ASK_AGAIN_MS));
  useEffect(() => follow(), [step]);
  const steps = data?.run?.steps;
  const drawn = useMemo(() => (steps ? linesOf(steps) : undefined), [steps]);
  if (!drawn || drawn.x.length === 0) return null;
  const { x, loss, rate, speed } = drawn;
  return (
    <div className="columns three">
      <section className="card">
        <LineChart title="Loss of the steps" xLabel="step" yLabel="loss" x={x} lines={loss} />
      </section>
      <section className="card">
        <LineChart title="Learning rate" xLabel="step" yLabel="learning rate" x={x} lines={rate} />
      </section>
      <section className="card">
        <LineChart title="Speed" xLabel="step" yLabel="images/s" x={x} lines={speed} />
      </section>
    </div>
  );
}

interface Step {
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly imagesPerSecond: number;
}

function linesOf(steps: readonly Step[]) {
  return {
    x: steps.map(({ step }) => step),
    loss: smoothed('loss', steps.map(({ loss }) => loss), 0),
    rate: [{ label: 'learning rate', values: steps.map(({ learningRate }) => learningRate), colour: 2 }],
    speed: smoothed('images/s', steps.map(({ imagesPerSecond }) => imagesPerSecond), 3),
  }; // prettier-ignore
}

const smoothed = (label: string, values: readonly number[], colour: number): Line[] => [
  { label, values, colour, faint: true },
  { label: 'smoothed', values: smooth(values), colour },
];

const SMOOTHING = 0.9;

/** Exponential moving average, without its pull to zero at the start. */
function smooth(values: readonly number[]): number[] {
  let mean = 0;
  return values.map((value, index) => {
    mean = SMOOTHING * mean + (1 - SMOOTHING) * value;
    return mean / (1 - SMOOTHING ** (index + 1));
  });
}

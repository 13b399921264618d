import { startTransition, useOptimistic, useState } from 'react';
import { useSearchParams } from 'react-router';
import { useClient } from 'urql';
import { problemOf, type Problem } from '../api/problem';
import { graphql } from '../gql';
import type { PredictQuery } from '../gql/graphql';
import { DropZone } from '../parts/drop-zone';
import { decimal } from '../parts/figures';
import { Page } from '../parts/page';
import { ProblemNote } from '../parts/problem-note';
import {
  ModelChoice,
  NoModel,
  referenceOf,
  useServableModel,
  useServableModels,
  versionOf,
  type Choice,
} from './predict/model-choice';
import { PredictionCard, PredictionGrid } from './predict/prediction-results';
import { base64Of, readShot, type Shot } from './predict/shots';
import { TestSamples } from './predict/test-samples';

const PREDICT = graphql(`
  query Predict($input: PredictInput!) {
    predict(input: $input) {
      latencyMs
      batchSize
      cacheHit
      modelVersion {
        id
        version
        model {
          id
          name
        }
      }
      predictions {
        top {
          index
          className
          probability
        }
        explanation
      }
    }
  }
`);

export function Predict() {
  const { names, problem } = useServableModels();
  const [params, setParams] = useSearchParams();
  // The address follows in a transition of the router's, for which a checkbox cannot wait.
  const [choice, show] = useOptimistic<Choice>({
    model: params.get('model') ?? names?.[0] ?? '',
    ref: params.get('ref') ?? '',
    int8: params.has('int8'),
  });
  const choose = (next: Choice) =>
    startTransition(() => {
      show(next);
      setParams((old) => addressOf(old, { ...next, int8: next.int8 ? '1' : '' }), { replace: true });
    });
  return (
    <Page title="Predict">
      {!names && !problem && <p className="hint">Loading …</p>}
      {(problem || names?.length === 0) && !choice.model && <NoModel problem={problem} />}
      {choice.model && (
        <Prediction
          names={names ?? []}
          choice={choice}
          dataset={params.get('dataset') ?? undefined}
          onChoice={choose}
        />
      )}
    </Page>
  );
}

function addressOf(old: URLSearchParams, changes: Record<string, string>): URLSearchParams {
  const next = new URLSearchParams(old);
  for (const [name, value] of Object.entries(changes))
    if (value) next.set(name, value);
    else next.delete(name);
  return next;
}

function Prediction({ names, choice, dataset, onChoice }: {
  names: readonly string[];
  choice: Choice;
  /** `name@version` */
  dataset: string | undefined;
  onChoice: (choice: Choice) => void;
}) { // prettier-ignore
  const [explains, setExplains] = useState(true);
  const { answer, busy, predict, predictFiles } = usePredict(referenceOf(choice), explains && !choice.int8);
  const model = useServableModel(choice.model);
  const trainedOn = model && versionOf(model, choice.ref)?.run?.dataset;
  return (
    <>
      <section className="card" aria-label="Network">
        <ModelChoice names={names} model={model} choice={choice} onChoice={onChoice} />
        <p className="check">
          <input
            id="explains"
            type="checkbox"
            checked={explains && !choice.int8}
            disabled={choice.int8}
            onChange={({ target }) => setExplains(target.checked)}
          />
          <label htmlFor="explains">Show where it saw the class (activation map)</label>
        </p>
      </section>
      <div className="columns top">
        <section className="card" aria-label="Own images">
          <h2>Your images</h2>
          <DropZone
            label="Drop images here, or pick them"
            hint="PNG, JPEG or WebP, up to 64 at once."
            accept="image/png,image/jpeg,image/webp"
            onFiles={(files) => void predictFiles(files)}
          />
        </section>
        <section className="card" aria-label="Test images">
          <h2>Test images</h2>
          <TestSamples
            suggested={dataset ?? (trainedOn && `${trainedOn.name}@${trainedOn.version}`)}
            onPick={(shot) => void predict([shot])}
            onAll={(shots) => void predict(shots, true)}
            busy={busy}
          />
        </section>
      </div>
      <Results answer={answer} busy={busy} />
    </>
  );
}

interface Answer {
  readonly shots: readonly Shot[];
  /** Small, and without maps. */
  readonly asGrid: boolean;
  readonly prediction?: PredictQuery['predict'] | undefined;
  readonly problem?: Problem | undefined;
}

function usePredict(model: string, explain: boolean) {
  const client = useClient();
  const [answer, setAnswer] = useState<Answer>();
  const [busy, setBusy] = useState(false);

  async function predict(shots: readonly Shot[], asGrid = false): Promise<void> {
    setBusy(true);
    const input = { model, images: shots.map(base64Of), topK: 5, explain: explain && !asGrid };
    const { data, error } = await client.query(PREDICT, { input }, { requestPolicy: 'network-only' }).toPromise();
    setAnswer({ shots, asGrid, prediction: data?.predict, problem: named(problemOf(error), shots) });
    setBusy(false);
  }
  async function predictFiles(files: readonly File[]): Promise<void> {
    if (files.length === 0) return;
    try {
      await predict(await Promise.all(files.map(readShot)));
    } catch (error) {
      setAnswer({ shots: [], asGrid: false, problem: { code: 'BAD_USER_INPUT', message: (error as Error).message } });
    }
  }
  return { answer, busy, predict, predictFiles };
}

/** The API knows an image by its place; the user by its name. */
function named(problem: Problem | undefined, shots: readonly Shot[]): Problem | undefined {
  const [, place] = /^images\.(\d+)$/.exec(problem?.field ?? '') ?? [];
  const shot = place === undefined ? undefined : shots[Number(place)];
  return problem && shot ? { code: problem.code, message: `${shot.name}: ${problem.message}` } : problem;
}

function Results({ answer, busy }: { answer: Answer | undefined; busy: boolean }) {
  if (!answer) return busy ? <p className="hint">Predicting …</p> : null;
  const { shots, asGrid, prediction, problem } = answer;
  return (
    <section className="card" aria-label="Prediction" aria-busy={busy}>
      <h2>Prediction</h2>
      <ProblemNote problem={problem} />
      {prediction && (
        <>
          {asGrid && <PredictionGrid shots={shots} predictions={prediction.predictions} />}
          {!asGrid && (
            <div className="predictions">
              {prediction.predictions.map((each, index) => (
                <PredictionCard key={index} shot={shots[index]!} prediction={each} />
              ))}
            </div>
          )}
          <p className="hint" role="status">
            By {prediction.modelVersion.model.name}:{prediction.modelVersion.version}{' '}
            in {decimal(prediction.latencyMs, 3)} ms, in a batch of {prediction.batchSize}; the model was{' '}
            {prediction.cacheHit ? 'in memory' : 'loaded for it'}.
          </p>
        </>
      )}
    </section>
  );
}

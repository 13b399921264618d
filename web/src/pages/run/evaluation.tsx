import { useQuery } from 'urql';
import { problemOf } from '../../api/problem';
import { graphql } from '../../gql';
import type { RunEvaluationQuery } from '../../gql/graphql';
import { ConfusionMatrix, MOST_NAMED } from '../../parts/confusion-matrix';
import { count, decimal, percent } from '../../parts/figures';
import { Mistakes } from '../../parts/mistakes';
import { ProblemNote } from '../../parts/problem-note';
import { Wide } from '../../parts/wide';
import { Downloads } from './downloads';

const EVALUATION = graphql(`
  query RunEvaluation($id: ID!) {
    run(id: $id) {
      id
      evaluation {
        loss accuracy top5Accuracy confusion
        perClass { className precision recall f1 support }
        mistakes { index className predictedClassName probability png }
      }
      version {
        version
        model { name }
        artifacts { id kind bytes sha256 }
      }
    }
  }
`);

type Evaluated = NonNullable<NonNullable<RunEvaluationQuery['run']>['evaluation']>;

/** How well the run's network does on TEST, and what it published. */
export function RunEvaluation({ id }: { id: string }) {
  const [{ data, error }] = useQuery({ query: EVALUATION, variables: { id } });
  const { evaluation, version } = data?.run ?? {};
  return (
    <>
      <ProblemNote problem={problemOf(error)} />
      {version && <Downloads version={version} />}
      {evaluation && <Figures evaluation={evaluation} />}
      {evaluation?.mistakes && <Mistakes mistakes={evaluation.mistakes} />}
    </>
  );
}

function Figures({ evaluation }: { evaluation: Evaluated }) {
  const { accuracy, loss, top5Accuracy, confusion, perClass } = evaluation;
  return (
    <>
      <section className="card">
        <h2>Evaluation on the test split</h2>
        <dl className="facts">
          <div><dt>Accuracy</dt><dd>{percent(accuracy, 2)}</dd></div>
          <div><dt>Loss</dt><dd>{decimal(loss)}</dd></div>
          {top5Accuracy != null && <div><dt>Top-5 accuracy</dt><dd>{percent(top5Accuracy, 2)}</dd></div>}
          <div><dt>Images</dt><dd>{count(perClass.reduce((sum, { support }) => sum + support, 0))}</dd></div>
        </dl>
      </section>
      <div className={perClass.length > MOST_NAMED ? undefined : 'columns'}>
        <section className="card">
          <h2>Confusion matrix</h2>
          <ConfusionMatrix confusion={confusion} classNames={perClass.map(({ className }) => className)} />
        </section>
        <section className="card">
          <h2>By class</h2>
          <PerClass of={perClass} />
        </section>
      </div>
    </>
  );
}

function PerClass({ of: classes }: { of: Evaluated['perClass'] }) {
  return (
    <Wide label="Figures by class" tall>
      <table>
        <thead>
          <tr>
            <th scope="col">Class</th>
            <th scope="col" className="number">Precision</th>
            <th scope="col" className="number">Recall</th>
            <th scope="col" className="number">F1</th>
            <th scope="col" className="number">Images</th>
          </tr>
        </thead>
        <tbody>
          {classes.map(({ className, precision, recall, f1, support }) => (
            <tr key={className}>
              <th scope="row">{className}</th>
              <td className="number">{percent(precision)}</td>
              <td className="number">{percent(recall)}</td>
              <td className="number">{percent(f1)}</td>
              <td className="number">{count(support)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

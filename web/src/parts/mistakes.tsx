import { percent } from './figures';

interface Mistake {
  readonly index: number;
  readonly className: string;
  readonly predictedClassName: string;
  readonly probability: number;
  /** PNG in base64; none where the data set is gone. */
  readonly png?: string | null;
}

/** What a network was most sure of and wrong about: often it is the label that is. */
export function Mistakes({ mistakes }: { mistakes: readonly Mistake[] }) {
  return (
    <section className="card">
      <h2>Most confident mistakes</h2>
      <p className="hint">
        {mistakes.length > 0 ? 'What it took an image for, how sure it was, and what the label says.' : 'It made none.'}
      </p>
      <ul className="mistakes">
        {mistakes.map(({ index, className, predictedClassName, probability, png }) => (
          <li key={index}>
            {png == null ? (
              <span className="no-picture">no picture</span>
            ) : (
              <img src={`data:image/png;base64,${png}`} alt={alt(index)} title={alt(index)} />
            )}
            <b>{predictedClassName}</b>
            <span className="hint">{percent(probability)} sure, is</span>
            <b>{className}</b>
          </li>
        ))}
      </ul>
    </section>
  );
}

const alt = (index: number) => `Image ${index} of the test split`;

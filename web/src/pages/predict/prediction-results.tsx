import { percent } from '../../parts/figures';
import type { Shot } from './shots';

interface Score {
  readonly index: number;
  readonly className: string;
  readonly probability: number;
}

export interface ImagePrediction {
  readonly top: readonly Score[];
  readonly explanation?: string | null;
}

/** One image and what the network says of it: its likeliest classes, and where it saw the first. */
export function PredictionCard({ shot, prediction }: { shot: Shot; prediction: ImagePrediction }) {
  const { top, explanation } = prediction;
  const [first] = top;
  return (
    <article className="prediction" aria-label={shot.name}>
      <div className="seen">
        <figure>
          <img src={shot.url} alt={shot.name} />
          <figcaption>{shot.name}</figcaption>
        </figure>
        {explanation && (
          <figure>
            <img src={`data:image/png;base64,${explanation}`} alt={`Activation map of ${first?.className} over the image`} />
            <figcaption>where it saw “{first?.className}”</figcaption>
          </figure>
        )}
      </div>
      <div>
        <Verdict shot={shot} first={first} />
        <ol className="scores" aria-label="Likeliest classes">
          {top.map(({ index, className, probability }) => (
            <li key={index}>
              <span className="score-name">{className}</span>
              <span className="bar-track"><span className="bar-line" style={{ width: `${100 * probability}%` }} /></span>
              <span className="figure">{percent(probability)}</span>
            </li>
          ))}
        </ol>
      </div>
    </article>
  );
}

/** As the notebook ends: a grid of images, each with the class that the network gives it and whether that is so. */
export function PredictionGrid({ shots, predictions }: {
  shots: readonly Shot[];
  predictions: readonly ImagePrediction[];
}) { // prettier-ignore
  const right = shots.filter(({ className }, index) => className === predictions[index]?.top[0]?.className).length;
  return (
    <>
      <p><strong>{right} of {shots.length} right.</strong></p>
      <ul className="pictures graded">
        {shots.map((shot, index) => (
          <li key={shot.name}>
            <figure>
              <img src={shot.url} alt={`${shot.name}, ${shot.className}`} />
              <figcaption><Verdict shot={shot} first={predictions[index]?.top[0]} /></figcaption>
            </figure>
          </li>
        ))}
      </ul>
    </>
  );
}

/** By sign and word as well as by colour. */
function Verdict({ shot: { className }, first }: { shot: Shot; first: Score | undefined }) {
  if (className === undefined || !first) return null;
  const isRight = className === first.className;
  return (
    <p className={isRight ? 'verdict right' : 'verdict wrong'}>
      <span aria-hidden="true">{isRight ? '✓' : '✕'}</span> {isRight ? 'right' : 'wrong'}: {first.className}{' '}
      <span className="figure">{percent(first.probability, 0)}</span>
      {!isRight && <><br />is {className}</>}
    </p>
  );
}

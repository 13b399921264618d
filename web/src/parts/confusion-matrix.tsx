import { memo } from 'react';
import { Wide } from './wide';

interface ConfusionMatrixProps {
  /** [label][prediction] */
  readonly confusion: readonly (readonly number[])[];
  readonly classNames: readonly string[];
}

/** Beyond so many classes, columns are headed by numbers, and cells without an image are left empty. */
export const MOST_NAMED = 20;

/**
 * A table whose cells are coloured by their share of the row: hits in one colour, mistakes in another, those by their
 * root, since a class is seldom taken for one other class alone.
 */
export const ConfusionMatrix = memo(function ConfusionMatrix({ confusion, classNames }: ConfusionMatrixProps) {
  const isDense = classNames.length > MOST_NAMED;
  return (
    <>
      <p className="hint">
        Rows are the true classes, columns what they were taken for{isDense && ', by the number in front of the row'}.
      </p>
      <Wide label="Confusion matrix" tall>
        <table className={isDense ? 'confusion dense' : 'confusion'}>
          <thead>
            <tr>
              <td />
              {classNames.map((name, index) => (
                <th key={name} scope="col" title={name}>{isDense ? index : <span>{name}</span>}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {confusion.map((row, label) => (
              <Row key={label} label={label} row={row} classNames={classNames} isDense={isDense} />
            ))}
          </tbody>
        </table>
      </Wide>
    </>
  );
});

function Row({ label, row, classNames, isDense }: {
  label: number;
  row: readonly number[];
  classNames: readonly string[];
  isDense: boolean;
}) { // prettier-ignore
  const total = Math.max(1, row.reduce((sum, images) => sum + images, 0));
  return (
    <tr>
      <th scope="row">{isDense && `${label} `}{classNames[label]}</th>
      {row.map((images, prediction) => (
        <td
          key={prediction}
          className={images === 0 ? 'none' : prediction === label ? 'hit' : 'miss'}
          style={{ '--share': `${100 * (prediction === label ? images / total : Math.sqrt(images / total))}%` } as object}
          title={`${classNames[label]} taken for ${classNames[prediction]}: ${images} of ${total}`}
        >
          {isDense && images === 0 ? '' : images}
        </td>
      ))}
    </tr>
  );
}

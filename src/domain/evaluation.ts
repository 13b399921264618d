/** How well a network did on a split: what is stored with a run and with the version it made. */
export interface Evaluation {
  /** Mean cross-entropy, natural logarithm, without label smoothing. */
  readonly loss: number;
  readonly accuracy: number;
  /** Share of images whose label is among the five largest logits; null with five classes or fewer. */
  readonly top5Accuracy: number | null;
  /** [label][prediction]: how many images. */
  readonly confusion: number[][];
  readonly perClass: ClassMetrics[];
  /** The most confident ones first, of equal ones the first of the split; at most `MOST_MISTAKES`. */
  readonly mistakes: Mistake[];
}

/** An image that was taken for another class. */
export interface Mistake {
  /** The image's place among those that were evaluated. */
  readonly index: number;
  readonly label: number;
  readonly predicted: number;
  /** Of the predicted class. */
  readonly probability: number;
}

export const MOST_MISTAKES = 25;

/** A quotient without a denominator (a class never predicted, a class without images) is 0. */
export interface ClassMetrics {
  readonly className: string;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Images of this class. */
  readonly support: number;
}

/** Sums over the images seen so far. */
export interface Tally {
  readonly numClasses: number;
  images: number;
  lossSum: number;
  correct: number;
  inTop5: number;
  /** (K, K) row-major, rows by label. */
  readonly confusion: Uint32Array;
  /** As `Evaluation.mistakes`. */
  readonly mistakes: Mistake[];
}

export function createTally(numClasses: number): Tally {
  return {
    numClasses,
    images: 0,
    lossSum: 0,
    correct: 0,
    inTop5: 0,
    confusion: new Uint32Array(numClasses * numClasses),
    mistakes: [],
  };
}

/** Adds a batch. `logits`: (N, K) row-major with K = tally.numClasses; `labels`: (N). */
export function addLogits(tally: Tally, logits: Float32Array, labels: ArrayLike<number>): void {
  const classes = tally.numClasses;
  for (let image = 0; image < labels.length; image++) {
    const row = logits.subarray(image * classes, (image + 1) * classes);
    const label = labels[image]!;
    const rank = rankOf(row, label);
    const predicted = largest(row);
    if (predicted === label) tally.correct++;
    else keepMistake(tally.mistakes, { index: tally.images, label, predicted, probability: softmaxOfLargest(row) });
    tally.images++;
    tally.lossSum += crossEntropy(row, label);
    if (rank < 5) tally.inTop5++;
    tally.confusion[label * classes + predicted]!++;
  }
}

export function summariseTally(tally: Tally, classNames: readonly string[]): Evaluation {
  const { numClasses, images } = tally;
  const confusion = classNames.map((_, label) => [
    ...tally.confusion.subarray(label * numClasses, (label + 1) * numClasses),
  ]);
  return {
    loss: tally.lossSum / images,
    accuracy: tally.correct / images,
    top5Accuracy: numClasses > 5 ? tally.inTop5 / images : null,
    confusion,
    perClass: classNames.map((className, index) => classMetrics(className, index, confusion)),
    mistakes: [...tally.mistakes],
  };
}

function classMetrics(className: string, index: number, confusion: readonly number[][]): ClassMetrics {
  const hits = confusion[index]![index]!;
  const support = confusion[index]!.reduce((sum, count) => sum + count, 0);
  const predicted = confusion.reduce((sum, row) => sum + row[index]!, 0);
  const precision = ratio(hits, predicted);
  const recall = ratio(hits, support);
  return { className, precision, recall, f1: ratio(2 * precision * recall, precision + recall), support };
}

const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);

/** Images come in order, so of equal ones the first stands first. */
function keepMistake(mistakes: Mistake[], mistake: Mistake): void {
  const behind = mistakes.findIndex(({ probability }) => probability < mistake.probability);
  mistakes.splice(behind === -1 ? mistakes.length : behind, 0, mistake);
  if (mistakes.length > MOST_MISTAKES) mistakes.pop();
}

/** log(sum(exp(logits))) - logits[label], without overflow. */
function crossEntropy(logits: Float32Array, label: number): number {
  return Math.log(sumOfExponentials(logits)) + logits[largest(logits)]! - logits[label]!;
}

const softmaxOfLargest = (logits: Float32Array): number => 1 / sumOfExponentials(logits);

/** Of the differences to the largest. */
function sumOfExponentials(logits: Float32Array): number {
  const most = logits[largest(logits)]!;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  return sum;
}

/** Index of the largest value, the first of equal ones. */
function largest(values: Float32Array): number {
  let best = 0;
  for (let index = 1; index < values.length; index++) if (values[index]! > values[best]!) best = index;
  return best;
}

/** How many values come before the one at `index` when sorted descending, equal ones by index. */
function rankOf(values: Float32Array, index: number): number {
  const own = values[index]!;
  let before = 0;
  for (let other = 0; other < values.length; other++)
    if (values[other]! > own || (values[other] === own && other < index)) before++;
  return before;
}

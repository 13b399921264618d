import type { Records, Report } from '../formats/records.js';

/** How many records each class has. Labels out of range count nowhere. */
export function countClasses(labels: Int32Array, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) if (label < classes) counts[label]!++;
  return counts;
}

/** A network can only learn what it is shown, and an evaluation needs something to evaluate. */
export function checkClasses({ classNames, train, test }: Records, report: Report): void {
  if (classNames.length < 2) report(`there are two classes or more, not ${classNames.length}`);
  if (train.labels.length === 0) return report('the TRAIN split has no images');
  if (test.labels.length === 0) report('the TEST split has no images');
  const testCounts = countClasses(test.labels, classNames.length);
  for (const [label, count] of countClasses(train.labels, classNames.length).entries()) {
    if (count > 0) continue;
    const inTest = testCounts[label]! > 0 ? `, but ${testCounts[label]} in the TEST split` : '';
    report(`class ${label} (${classNames[label]}) has no image in the TRAIN split${inTest}`);
  }
}

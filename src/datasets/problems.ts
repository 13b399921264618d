import type { Report } from '../formats/records.js';

const LISTED = 20;

/** What is wrong with a data set: the first twenty in full, then how many more. */
export interface Problems {
  readonly report: Report;
  count(): number;
  list(): string[];
}

export function collectProblems(): Problems {
  const listed: string[] = [];
  let count = 0;
  return {
    report: (problem) => {
      if (++count <= LISTED) listed.push(problem);
    },
    count: () => count,
    list: () => (count > LISTED ? [...listed, `and ${count - LISTED} more`] : [...listed]),
  };
}

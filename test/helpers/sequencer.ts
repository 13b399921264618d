import { statSync } from 'node:fs';
import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that mostly wait: for a fault to pass, for a dead worker to be missed, for a second to be over. */
const WAITING = new Set([
  'access', 'database-silence', 'dataset-worker', 'lost-answers', 'many-workers', 'outages-api', 'outages-training', 'queue',
  'run-kills', 'run-pause', 'run-recovery', 'runs-changed', 'serving-handover', 'start', 'sweep-kills',
]); // prettier-ignore

/**
 * Those that wait are spread among those that compute, so that the cores are neither idle nor fought for; the short
 * ones of test/unit come last, so that no long one runs on alone. The same order each time, whatever ran before.
 */
export class Interleaved extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const of = (kind: string) => files.filter((file) => kindOf(file) === kind);
    const placed = [...spread(of('waiting')), ...spread(of('computing'))].toSorted((a, b) => a.place - b.place);
    return [...placed.map(({ file }) => file), ...of('unit')];
  }
}

function kindOf({ moduleId }: TestSpecification): 'unit' | 'waiting' | 'computing' {
  if (moduleId.includes('/test/unit/')) return 'unit';
  return WAITING.has(path.basename(moduleId, '.test.ts')) ? 'waiting' : 'computing';
}

/** Larger files first, each at its place from 0 to 1: the share of all bytes that come before it. */
function spread(files: readonly TestSpecification[]): { file: TestSpecification; place: number }[] {
  const sized = files.map((file) => ({ file, bytes: statSync(file.moduleId).size })).toSorted((a, b) => b.bytes - a.bytes);
  const total = sized.reduce((sum, { bytes }) => sum + bytes, 0);
  let before = 0;
  return sized.map(({ file, bytes }) => {
    const place = before / total;
    before += bytes;
    return { file, place };
  });
}

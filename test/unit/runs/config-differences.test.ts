import { expect, it } from 'vitest';
import { configDifferences } from '../../../src/runs/config-differences.js';

it('finds by dotted path what differs, and leaves out what does not', () => {
  const first = { epochs: 3, seed: 1, optimizer: { kind: 'SGD', learningRate: 0.1 }, tags: ['a'] };
  const second = { epochs: 3, seed: 1, optimizer: { kind: 'SGD', learningRate: 0.05 }, tags: ['a', 'b'] };
  expect(configDifferences([first, second])).toEqual([
    { path: 'optimizer.learningRate', values: [0.1, 0.05] },
    { path: 'tags', values: [['a'], ['a', 'b']] },
  ]);
});

it('gives null for what one does not have, at the path of what the other has', () => {
  const [plain, stopping] = [{ seed: 0 }, { seed: 0, earlyStopping: { metric: 'TRAIN_LOSS', patience: 2 } }];
  expect(configDifferences([plain, stopping])).toEqual([
    { path: 'earlyStopping.metric', values: [null, 'TRAIN_LOSS'] },
    { path: 'earlyStopping.patience', values: [null, 2] },
  ]);
});

it('takes a list as one value, and one that is null for one that is not there', () => {
  expect(configDifferences([{ schedule: { milestones: [1, 2] } }, { schedule: { milestones: [1, 2] } }])).toEqual([]);
  expect(configDifferences([{ emaDecay: null }, {}])).toEqual([]);
});

it('finds a setting in which only the last of many differs', () => {
  expect(configDifferences([{ seed: 1 }, { seed: 1 }, { seed: 2 }])).toEqual([{ path: 'seed', values: [1, 1, 2] }]);
});

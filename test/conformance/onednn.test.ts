import { createOneDnnEngine } from '../../src/training/engines/onednn.js';
import { describeEngine } from './engine.suite.js';

describeEngine('ONEDNN', () => createOneDnnEngine({ threads: 2 }), {
  networks: ['basic', 'bottleneck', 'pad'],
  steps: 20,
});

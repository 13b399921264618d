import { expect, it } from 'vitest';
import { needsExactKernels } from '../../../src/serving/integer-kernels.js';

it.each([
  ['x64', 'flags : sse4_2 avx2 avx512f avx512_vnni', false],
  ['x64', 'flags : avx2 avx_vnni', false],
  ['x64', 'flags : avx2 avx512f avx512bw', true],
  ['x64', '', true],
  ['arm64', 'Features : asimd', false],
])('on %s with "%s": %s', (architecture, cpuInfo, exact) => {
  expect(needsExactKernels(architecture, cpuInfo)).toBe(exact);
});

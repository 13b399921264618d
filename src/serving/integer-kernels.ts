import { readFileSync } from 'node:fs';

/**
 * On x86 before VNNI, onnxruntime's fast kernels of uint8 times int8 add two products in 16 bits, which overflow; its
 * kernels of uint8 times uint8 are exact, and take more than twice as long where the others are exact too. Elsewhere
 * than on Linux nobody says what the CPU has, so the exact ones are taken.
 * @param cpuInfo what Linux says of the CPU
 */
export function needsExactKernels(architecture: string = process.arch, cpuInfo = readCpuInfo()): boolean {
  return architecture === 'x64' && !/\b(avx512_vnni|avx_vnni|amx_int8)\b/.test(cpuInfo);
}

function readCpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}

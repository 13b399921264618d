import { badInput } from '../errors.js';
import type { RequestInputs } from '../serving/request-inputs.js';
import type { RequestedInput } from './request.js';
import { readBytes, readFloats } from './tensors.js';

/** The ways to give images, one of which a request takes. */
export const INPUTS = { input: 'FP32', image: 'BYTES' } as const;

/**
 * @throws BAD_USER_INPUT on the tensor at fault
 */
export function readInputs(inputs: readonly RequestedInput[]): RequestInputs {
  const [tensor, ...more] = inputs;
  if (tensor === undefined || more.length > 0)
    throw badInput('inputs', `${inputs.length} inputs; a request has one: "input" (FP32) or "image" (BYTES)`);
  const { name, datatype, shape } = tensor;
  if (name !== 'input' && name !== 'image')
    throw badInput(name, `there is no input ${name}; send "input" (FP32) or "image" (BYTES)`);
  if (datatype !== INPUTS[name]) throw badInput(name, `datatype ${datatype}; ${name} takes ${INPUTS[name]}`);
  checkRank(name, shape);
  if (name === 'image') return { field: name, images: readBytes(tensor) };
  return { field: name, shape, values: readFloats(tensor) };
}

const AXES = { input: ['N', 'C', 'H', 'W'], image: ['N'] } as const;

function checkRank(name: keyof typeof AXES, shape: readonly number[]): void {
  if (shape.length !== AXES[name].length)
    throw badInput(name, `shape [${shape.join(', ')}]; ${name} takes [${AXES[name].join(', ')}]`);
}

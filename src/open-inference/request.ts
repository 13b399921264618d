import { badInput } from '../errors.js';
import type { TensorData } from './tensors.js';

/**
 * An inference request: JSON, and behind it the bytes of those inputs that have a `binary_data_size`
 * (kserve/open-inference-protocol, specification/protocol/inference_rest.md; triton-inference-server/server,
 * docs/protocol/extension_binary_data.md and extension_classification.md).
 */
export interface InferRequest {
  readonly id: string | undefined;
  readonly inputs: readonly RequestedInput[];
  /** Undefined: all there are. */
  readonly outputs: readonly RequestedOutput[] | undefined;
  /** Whether outputs that say nothing of it are sent as bytes. */
  readonly binaryOutput: boolean;
  /** How long the client waits. */
  readonly timeoutMs: number | undefined;
}

export interface RequestedInput extends TensorData {
  readonly datatype: string;
}

export interface RequestedOutput {
  readonly name: string;
  readonly binary: boolean | undefined;
  /** Send the likeliest classes, so many, instead of the tensor. */
  readonly classes: number | undefined;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * @param headerLength of the header `Inference-Header-Content-Length`: bytes of the JSON; all of the body without it
 * @throws BAD_USER_INPUT
 */
export function parseInferRequest(body: Uint8Array, headerLength: string | undefined): InferRequest {
  const jsonBytes = headerLength === undefined ? body.length : Number(headerLength);
  if (!Number.isInteger(jsonBytes) || jsonBytes < 0 || jsonBytes > body.length)
    throw badInput('body', `Inference-Header-Content-Length is ${headerLength}; the body has ${body.length} bytes`);
  const request = parseJson(body.subarray(0, jsonBytes));
  const id = request['id'] ?? undefined;
  if (id !== undefined && typeof id !== 'string') throw badInput('id', '"id" must be a string');
  const parameters = parametersOf(request, 'the request');
  return {
    id,
    inputs: readInputs(listOf(request, 'inputs') ?? [], body.subarray(jsonBytes)),
    outputs: listOf(request, 'outputs')?.map(readOutput),
    binaryOutput: parameters['binary_data_output'] === true,
    timeoutMs: timeoutOf(parameters),
  };
}

function parseJson(bytes: Uint8Array): Json {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw badInput('body', `the body is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(value)) throw badInput('body', 'the body is not a JSON object');
  return value;
}

function readInputs(inputs: readonly Json[], binary: Uint8Array): RequestedInput[] {
  let at = 0;
  const read = inputs.map((input, index) => {
    const name = nameOf(input, `inputs.${index}`);
    const { shape, datatype } = input;
    if (!isShape(shape)) throw badInput(name, `${name}: "shape" must be a list of whole numbers from 0 on`);
    if (typeof datatype !== 'string') throw badInput(name, `${name}: "datatype" must be a string, such as "FP32"`);
    const size = parametersOf(input, name)['binary_data_size'];
    if (size === undefined) return { name, shape, datatype, data: input['data'] };
    const left = binary.length - at;
    if (!isWhole(size) || size > left)
      throw badInput(name, `${name}: "binary_data_size" is ${String(size)}; ${left} bytes are left behind the JSON`);
    at += size;
    return { name, shape, datatype, data: binary.subarray(at - size, at) };
  });
  if (at < binary.length) throw badInput('body', `${binary.length - at} bytes behind the JSON belong to no input`);
  return read;
}

function readOutput(output: Json, index: number): RequestedOutput {
  const name = nameOf(output, `outputs.${index}`);
  const { binary_data: binary, classification: classes } = parametersOf(output, name);
  if (classes !== undefined && !(isWhole(classes) && classes >= 1))
    throw badInput(name, `${name}: "classification" must be a whole number from 1 on`);
  return { name, binary: typeof binary === 'boolean' ? binary : undefined, classes };
}

/** Microseconds in Triton's schedule policy, and so in its clients. */
function timeoutOf({ timeout }: Json): number | undefined {
  const microseconds = Number(timeout ?? 0);
  return microseconds > 0 ? microseconds / 1000 : undefined;
}

function nameOf({ name }: Json, place: string): string {
  if (typeof name !== 'string' || name === '') throw badInput(place, `${place}: "name" must be a string`);
  return name;
}

function listOf(request: Json, key: 'inputs' | 'outputs'): Json[] | undefined {
  const list = request[key] ?? [];
  if (!Array.isArray(list) || !list.every(isObject)) throw badInput(key, `"${key}" must be a list of objects`);
  return list.length === 0 ? undefined : list;
}

/** Some clients write null for what they leave out. */
function parametersOf(object: Json, of: string): Json {
  const parameters = object['parameters'] ?? {};
  if (!isObject(parameters)) throw badInput('parameters', `"parameters" of ${of} must be an object`);
  return parameters;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isShape = (value: unknown): value is number[] => Array.isArray(value) && value.every(isWhole);

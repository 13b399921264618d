import { badInput } from '../errors.js';
import type { Inference } from '../serving/predict.js';
import { topClasses, type ClassScore } from '../serving/top-classes.js';
import type { InferRequest, RequestedOutput } from './request.js';
import { writeBytes } from './tensors.js';

export interface InferResponse {
  readonly body: Buffer;
  /** Bytes of the JSON, where there are others behind it. */
  readonly headerLength: number | undefined;
}

interface OutputTensor {
  readonly name: string;
  readonly datatype: 'FP32' | 'BYTES';
  readonly shape: readonly number[];
  readonly data: readonly number[] | readonly string[];
  readonly bytes: () => Buffer;
}

const PROBABILITIES = 'probabilities';

/**
 * @throws BAD_USER_INPUT for outputs that there are not; ask before computing
 */
export function checkOutputs({ outputs = [] }: InferRequest): void {
  for (const { name } of outputs)
    if (name !== PROBABILITIES) throw badInput(name, `there is no output ${name}; the only one is ${PROBABILITIES}`);
}

/** What was asked for, in the order in which it was asked for. */
export function writeInferResponse({ id, outputs, binaryOutput }: InferRequest, inference: Inference): InferResponse {
  const { version } = inference;
  const asked = outputs ?? [{ name: PROBABILITIES, binary: undefined, classes: undefined }];
  const bytes: Buffer[] = [];
  const written = asked.map((output) => {
    const { bytes: encode, data, ...tensor } = tensorOf(output, inference);
    if (!(output.binary ?? binaryOutput)) return { ...tensor, data };
    const encoded = encode();
    bytes.push(encoded);
    return { ...tensor, parameters: { binary_data_size: encoded.length } };
  });
  const answer = {
    ...(id !== undefined && { id }),
    model_name: version.model.name,
    model_version: String(version.version),
    outputs: written,
  };
  const json = Buffer.from(JSON.stringify(answer));
  return { body: Buffer.concat([json, ...bytes]), headerLength: bytes.length > 0 ? json.length : undefined };
}

function tensorOf({ name, classes }: RequestedOutput, { probabilities, version }: Inference): OutputTensor {
  const { classNames } = version;
  const rows = probabilities.length;
  if (classes === undefined) {
    const values = probabilities.flatMap((row) => [...row]);
    const bytes = () => Buffer.from(Float32Array.from(values).buffer);
    return { name, datatype: 'FP32', shape: [rows, classNames.length], data: values, bytes };
  }
  const texts = probabilities.flatMap((row) => topClasses(row, classNames, classes).map(textOf));
  return { name, datatype: 'BYTES', shape: [rows, texts.length / rows], data: texts, bytes: () => writeBytes(texts) };
}

/** As Triton's classification extension writes it, in the digits that C++ gives. */
const textOf = ({ index, className, probability }: ClassScore) => `${probability.toFixed(6)}:${index}:${className}`;

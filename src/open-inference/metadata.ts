import type { Database } from '../infra/database.js';
import { listVersions } from '../registry/find-version.js';
import { resolveVersion } from '../registry/resolve.js';
import { INPUTS } from './inputs.js';

export const SERVER = { name: 'residual', version: '2', extensions: ['binary_tensor_data', 'classification'] };

/** A model as a client must know it to ask; parameters are texts, since the protocol knows no lists in them. */
export async function describeModel({ database }: { readonly database: Database }, reference: string): Promise<object> {
  const { model, classNames, channelMean, channelStd } = await resolveVersion({ database }, reference);
  const { items } = await listVersions({ database }, model.id, { first: 100 });
  const { channels, height, width } = model;
  return {
    name: model.name,
    versions: items.map(({ version }) => String(version)),
    platform: 'onnxruntime_onnx',
    inputs: [
      {
        name: 'input',
        datatype: INPUTS.input,
        shape: [-1, channels, height, width],
        parameters: {
          content: '(pixel / 255 - mean) / std for each channel',
          mean: JSON.stringify(channelMean),
          std: JSON.stringify(channelStd),
        },
      },
      {
        name: 'image',
        datatype: INPUTS.image,
        shape: [-1],
        parameters: { content: 'PNG, JPEG or WebP; in JSON as base64', instead_of: 'input' },
      },
    ],
    outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, classNames.length] }],
  };
}

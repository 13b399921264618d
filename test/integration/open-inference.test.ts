import { deflateSync, gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { createObjectStore } from '../../src/infra/objects.js';
import { corruptObject } from '../helpers/corrupt-object.js';
import { bucketOf } from '../helpers/platform-stores.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { defineSmallModel, NORMALISATION, publishRandomVersion } from '../helpers/published-version.js';

/** The Open Inference Protocol over real HTTP, byte for byte as `tritonclient.http` 2.x writes and reads it. */

const SIDE = 32;
const AREA = SIDE * SIDE;
const MAX_BODY_BYTES = 256 * 1024;

let platform: TestPlatform;
let database: Database;
let predictorKey: string;
let viewerKey: string;
/** Two images: pixels as the network sees them, and the PNG that has them. */
let pixels: Uint8Array[];
let pngs: Buffer[];

beforeAll(async () => {
  platform = await startPlatform({ env: { MAX_BODY_BYTES: String(MAX_BODY_BYTES) } });
  const bucket = bucketOf(platform);
  database = connectDatabase(platform.env['DATABASE_URL']!);
  const objects = createObjectStore(bucket);
  const cats = await defineSmallModel(database, 'cats');
  await publishRandomVersion({ database, objects }, cats, 1);
  await publishRandomVersion({ database, objects }, cats, 2);
  const broken = await publishRandomVersion({ database, objects }, await defineSmallModel(database, 'broken'), 3);
  await corruptObject(bucket, broken.sha256);
  [predictorKey, viewerKey] = await Promise.all([platform.createKey('PREDICTOR'), platform.createKey('VIEWER')]);
  pixels = [1, 2].map((seed) => Uint8Array.from({ length: AREA * 3 }, (_, index) => 128 + 120 * Math.sin(index * (0.01 + seed * 0.02))));
  pngs = await Promise.all(pixels.map((raw) => sharp(raw, { raw: { width: SIDE, height: SIDE, channels: 3 } }).png().toBuffer()));
});

afterAll(async () => {
  await database.$disconnect();
  await platform.stop();
});

async function send(path: string, init: RequestInit & { key?: string | null } = {}) {
  const { key = predictorKey, headers, ...rest } = init;
  const response = await fetch(new URL(path, platform.url), {
    ...rest,
    headers: { ...(key !== null && { authorization: `Bearer ${key}` }), ...(headers as Record<string, string>) },
  });
  const body = Buffer.from(await response.arrayBuffer());
  const headerLength = response.headers.get('inference-header-content-length');
  const json = JSON.parse(body.subarray(0, headerLength === null ? undefined : Number(headerLength)).toString());
  return { status: response.status, type: response.headers.get('content-type'), json, body, headerLength };
}

const infer = (request: object, path = 'cats') => {
  const body = JSON.stringify(request);
  return send(`/v2/models/${path}/infer`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
};

/** The JSON and then the bytes. `fetch` gives bytes no content type, as Triton's client does not. */
function inferBinary(request: object, binary: Uint8Array, more: { compress?: 'gzip' | 'deflate'; path?: string } = {}) {
  const json = Buffer.from(JSON.stringify(request));
  const whole = Buffer.concat([json, binary]);
  const { compress, path = 'cats' } = more;
  const body = compress === undefined ? whole : compress === 'gzip' ? gzipSync(whole) : deflateSync(whole);
  const headers = { 'Inference-Header-Content-Length': String(json.length), ...(compress && { 'Content-Encoding': compress }) };
  return send(`/v2/models/${path}/infer`, { method: 'POST', body, headers });
}

/** (N, C, H, W) by the metadata's own rule. */
function normalised(): Float32Array {
  const { mean, std } = NORMALISATION.rgb;
  return Float32Array.from({ length: pixels.length * 3 * AREA }, (_, index) => {
    const [image, channel, place] = [Math.floor(index / (3 * AREA)), Math.floor(index / AREA) % 3, index % AREA];
    return (pixels[image]![place * 3 + channel]! / 255 - mean[channel]!) / std[channel]!;
  });
}

/** What GraphQL says of the same images: (N, K), flat, in the order of the classes. */
async function expected(model = 'cats'): Promise<unknown[]> {
  const query = 'query ($input: PredictInput!) { predict(input: $input) { cacheHit predictions { top { index probability } } } }';
  const images = pngs.map((png) => png.toString('base64'));
  const { data } = await platform.graphql(query, { input: { model, images, topK: 10 } }, { key: predictorKey });
  return data.predict.predictions.flatMap(({ top }: { top: { index: number; probability: number }[] }) =>
    top.toSorted((a, b) => a.index - b.index).map(({ probability }) => expect.closeTo(probability, 5)),
  );
}

const floatsOf = (bytes: Buffer) => [...new Float32Array(new Uint8Array(bytes).buffer)];
const tensor = (more: object = {}) => ({ name: 'input', shape: [2, 3, SIDE, SIDE], datatype: 'FP32', ...more });
const jsonTensor = (more: object = {}) => tensor({ data: [...normalised()], ...more });
const binaryTensor = (more: object = {}) => tensor({ parameters: { binary_data_size: 2 * 3 * AREA * 4 }, ...more });
const tensorBytes = () => Buffer.from(normalised().buffer);

function lengthPrefixed(items: Buffer[]): Buffer {
  return Buffer.concat(
    items.flatMap((item) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(item.length);
      return [length, item];
    }),
  );
}

describe('the server', () => {
  it('says to everybody what it is, that it lives and that it is ready', async () => {
    expect(await send('/v2', { key: null })).toMatchObject({
      status: 200,
      json: { name: 'residual', version: expect.any(String), extensions: ['binary_tensor_data', 'classification'] },
    });
    expect(await send('/v2/health/live', { key: null })).toMatchObject({ status: 200, json: { live: true } });
    expect(await send('/v2/health/ready', { key: null })).toMatchObject({ status: 200, json: { ready: true } });
  });

  it('describes a model, and a version of it, to those who may read', async () => {
    const described = {
      name: 'cats',
      versions: ['2', '1'],
      platform: 'onnxruntime_onnx',
      inputs: [
        { name: 'input', datatype: 'FP32', shape: [-1, 3, 32, 32], parameters: { mean: '[0.49,0.48,0.45]', std: '[0.25,0.24,0.26]' } },
        { name: 'image', datatype: 'BYTES', shape: [-1] },
      ],
      outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 10] }],
    };
    for (const path of ['/v2/models/cats', '/v2/models/cats/versions/1'])
      expect(await send(path, { key: viewerKey })).toMatchObject({ status: 200, json: described });
    expect((await send('/v2/models/cats', { key: null })).status).toBe(401);
  });

  it('says of a model that it is ready, of one that there is not 404, and of one that does not load 503', async () => {
    expect(await send('/v2/models/cats/ready')).toMatchObject({ status: 200, json: { name: 'cats', ready: true } });
    expect((await send('/v2/models/cats/versions/2/ready')).status).toBe(200);
    const missing = (error: string) => ({ status: 404, json: { error } });
    expect(await send('/v2/models/dogs/ready')).toMatchObject(missing('there is no model dogs'));
    expect(await send('/v2/models/cats/versions/9')).toMatchObject(missing('model cats has no version 9; its newest is 2'));
    const fault = await infer({ inputs: [jsonTensor()] }, 'broken');
    expect(fault).toMatchObject({ status: 500, json: { error: expect.stringContaining('correlationId') } });
    expect(await send('/v2/models/broken/ready')).toMatchObject({ status: 503, json: { ready: false } });
  });
});

describe("an inference gives GraphQL's probabilities", () => {
  it('for a tensor in JSON, flat or nested, and echoes the id', async () => {
    const flat = await infer({ id: 'a1', inputs: [jsonTensor()] });
    expect(flat).toMatchObject({ status: 200, type: 'application/json', headerLength: null });
    expect(flat.json).toEqual({
      id: 'a1',
      model_name: 'cats',
      model_version: '2',
      outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [2, 10], data: await expected() }],
    });
    const values = [...normalised()];
    const rows = Array.from({ length: 2 * 3 * SIDE }, (_, row) => values.slice(row * SIDE, (row + 1) * SIDE));
    const planes = Array.from({ length: 6 }, (_, plane) => rows.slice(plane * SIDE, (plane + 1) * SIDE));
    const inputs = [tensor({ data: [planes.slice(0, 3), planes.slice(3)] })];
    const nested = await infer({ id: null, parameters: null, outputs: null, inputs });
    expect(nested.json.outputs).toEqual(flat.json.outputs);
    expect(nested.json).not.toHaveProperty('id');
  });

  it.each([undefined, 'gzip', 'deflate'] as const)('for a binary tensor, sent with compression %s, in binary', async (compress) => {
    const request = { inputs: [binaryTensor()], parameters: { binary_data_output: true } };
    const { status, type, json, body, headerLength } = await inferBinary(request, tensorBytes(), compress ? { compress } : {});
    expect([status, type]).toEqual([200, 'application/octet-stream']);
    expect(json.outputs).toEqual([{ name: 'probabilities', datatype: 'FP32', shape: [2, 10], parameters: { binary_data_size: 80 } }]);
    expect(floatsOf(body.subarray(Number(headerLength)))).toEqual(await expected());
  });

  it('for encoded images, in JSON as base64 and in binary behind their lengths', async () => {
    const image = { name: 'image', shape: [2], datatype: 'BYTES' };
    const inJson = await infer({ inputs: [{ ...image, data: pngs.map((png) => png.toString('base64')) }] });
    expect(inJson.json.outputs[0].data).toEqual(await expected());
    const bytes = lengthPrefixed(pngs);
    const inBinary = await inferBinary({ inputs: [{ ...image, parameters: { binary_data_size: bytes.length } }] }, bytes);
    expect(inBinary.json.outputs[0].data).toEqual(inJson.json.outputs[0].data);
  });

  it('of the version in the path, from the same memory', async () => {
    const first = await inferBinary({ inputs: [binaryTensor()] }, tensorBytes(), { path: 'cats/versions/1' });
    expect(first.json).toMatchObject({ model_version: '1', outputs: [{ data: await expected('cats:1') }] });
    expect(first.json.outputs[0].data).not.toEqual(await expected('cats:2'));
    const { data } = await platform.graphql('{ servingStats { cachedModels { version { version } } } }');
    expect(data.servingStats.cachedModels).toHaveLength(2);
  });

  it('of any reference, percent-encoded', async () => {
    await platform.graphql('mutation { setAlias(model: "cats", alias: "first", version: 1) { name } }');
    for (const path of ['cats%3A1', 'cats%40first'])
      expect((await infer({ inputs: [jsonTensor()] }, path)).json.outputs[0].data).toEqual(await expected('cats:1'));
    await platform.graphql('mutation { removeAlias(model: "cats", alias: "first") }');
  });

  it('as the likeliest classes where they are asked for, each output in its own encoding', async () => {
    const probabilities = (await infer({ inputs: [jsonTensor()] })).json.outputs[0].data as number[];
    const best = [0, 1].flatMap((image) => {
      const row = probabilities.slice(image * 10, (image + 1) * 10).map((probability, index) => ({ probability, index }));
      const top = row.toSorted((a, b) => b.probability - a.probability).slice(0, 2);
      return top.map(({ probability, index }) => `${probability.toFixed(6)}:${index}:class ${index}`);
    });
    const outputs = [
      { name: 'probabilities', parameters: { classification: 2 } },
      { name: 'probabilities', parameters: { classification: 2, binary_data: true } },
    ];
    const { json, body, headerLength } = await infer({ inputs: [jsonTensor()], outputs });
    expect(json.outputs[0]).toEqual({ name: 'probabilities', datatype: 'BYTES', shape: [2, 2], data: best });
    expect(body.subarray(Number(headerLength))).toEqual(lengthPrefixed(best.map((text) => Buffer.from(text))));
  });
});

describe('an inference is refused with {"error"}', () => {
  const image = (more: object) => ({ name: 'image', shape: [1], datatype: 'BYTES', ...more });
  it.each<[string, () => Promise<{ status: number; json: unknown }>, number, RegExp]>([
    ['without a key', () => send('/v2/models/cats/infer', { method: 'POST', body: '{}', key: null }), 401, /Bearer KEY/],
    ['by a reader', () => send('/v2/models/cats/infer', { method: 'POST', body: '{}', key: viewerKey }), 403, /PREDICTOR/],
    ['of no model', () => infer({ inputs: [jsonTensor()] }, 'dogs'), 404, /^there is no model dogs$/],
    ['of a version that is no number', () => infer({ inputs: [jsonTensor()] }, 'cats/versions/two'), 400, /"two" is no version/],
    ['of no JSON', () => send('/v2/models/cats/infer', { method: 'POST', body: '{' }), 400, /not JSON/],
    ['without a body', () => send('/v2/models/cats/infer', { method: 'POST' }), 400, /not JSON/],
    ['of no input', () => infer({ inputs: [] }), 400, /^0 inputs/],
    ['of both inputs', () => infer({ inputs: [jsonTensor(), image({ data: [] })] }), 400, /^2 inputs/],
    ['of an unknown input', () => infer({ inputs: [jsonTensor({ name: 'x' })] }), 400, /no input x/],
    ['of an unknown output', () => infer({ inputs: [jsonTensor()], outputs: [{ name: 'logits' }] }), 400, /no output logits; the only one is probabilities/],
    ['of another datatype', () => infer({ inputs: [jsonTensor({ datatype: 'UINT8' })] }), 400, /^input: datatype UINT8; input takes FP32$/],
    ['of another rank', () => infer({ inputs: [jsonTensor({ shape: [6, 32, 32] })] }), 400, /^input: shape \[6, 32, 32\]; input takes \[N, C, H, W\]$/],
    ['of another size', () => infer({ inputs: [tensor({ shape: [1, 1, 2, 2], data: [1, 2, 3, 4] })] }), 400, /^input: shape \[1, 1, 2, 2\]; this model takes \[N, 3, 32, 32\]$/],
    ['of a negative size', () => infer({ inputs: [jsonTensor({ shape: [-1, 3, 32, 32] })] }), 400, /"shape" must be/],
    ['of too few values', () => infer({ inputs: [tensor({ data: [1] })] }), 400, /^input: 1 values in "data"; its shape has 6144$/],
    ['of what is no number', () => infer({ inputs: [tensor({ shape: [1, 1, 1, 2], data: [1, 'a'] })] }), 400, /^input: value 1 is not a finite float32$/],
    ['of no images', () => infer({ inputs: [tensor({ shape: [0, 3, 32, 32], data: [] })] }), 400, /^input: 0 images/],
    ['of 65 images', () => infer({ inputs: [image({ shape: [65], data: Array(65).fill('') })] }), 400, /^image: 65 images; a request takes 1 to 64$/],
    ['of no base64', () => infer({ inputs: [image({ data: ['%'] })] }), 400, /^image: .*base64/],
    ['of base64 whose last bits are set', () => infer({ inputs: [image({ data: ['QR=='] })] }), 400, /^image: .*base64/],
    ['of no image', () => infer({ inputs: [image({ data: ['AAAA'] })] }), 400, /^image\.0: not a PNG/],
    ['of fewer bytes than it says', () => inferBinary({ inputs: [binaryTensor()] }, Buffer.alloc(8)), 400, /input: "binary_data_size" is 24576; 8 bytes are left/],
    ['of more bytes than it says', () => inferBinary({ inputs: [binaryTensor()] }, Buffer.alloc(24_580)), 400, /4 bytes behind the JSON belong to no input/],
    ['of bytes that do not make its shape', () => inferBinary({ inputs: [binaryTensor({ shape: [1, 3, 32, 32] })] }, tensorBytes()), 400, /^input: 24576 bytes; 3072 values of FP32 take 12288$/],
    ['of a text past the end', () => inferBinary({ inputs: [image({ parameters: { binary_data_size: 6 } })] }, Buffer.from([9, 0, 0, 0, 1, 1])), 400, /^image: element 0 runs past the end/],
    ['of a header longer than the body', () => send('/v2/models/cats/infer', { method: 'POST', body: '{}', headers: { 'Inference-Header-Content-Length': '9' } }), 400, /Inference-Header-Content-Length is 9; the body has 2 bytes/],
    ['of another encoding', () => send('/v2/models/cats/infer', { method: 'POST', body: '{}', headers: { 'Content-Encoding': 'br' } }), 400, /Content-Encoding br is not read/],
    ['of what is no gzip', () => send('/v2/models/cats/infer', { method: 'POST', body: '{}', headers: { 'Content-Encoding': 'gzip' } }), 400, /not gzip/],
    ['of a body over the limit', () => inferBinary({ inputs: [] }, Buffer.alloc(MAX_BODY_BYTES)), 413, /too large/],
    ['of a body that unpacks over the limit', () => inferBinary({ inputs: [] }, Buffer.alloc(MAX_BODY_BYTES), { compress: 'gzip' }), 413, /unpacks to more than 262144 bytes/],
    ['anywhere else', () => send('/v2/repository/index', { method: 'POST', body: '{}' }), 404, /there is no POST \/v2\/repository\/index/],
  ])('%s', async (_case, ask, status, error) => {
    expect(await ask()).toMatchObject({ status, json: { error: expect.stringMatching(error) } });
  }); // prettier-ignore

  it("at the client's own timeout, given in microseconds, and the server goes on", async () => {
    await publishRandomVersion({ database, objects: createObjectStore(bucketOf(platform)) }, await defineSmallModel(database, 'slow'), 4);
    const request = { inputs: [binaryTensor()], parameters: { timeout: 1_000 } };
    const late = await inferBinary(request, tensorBytes(), { path: 'slow' });
    expect(late).toMatchObject({ status: 503, json: { error: 'no answer within 1 ms' } });
    expect((await inferBinary({ inputs: [binaryTensor()] }, tensorBytes(), { path: 'slow' })).status).toBe(200);
  });
});

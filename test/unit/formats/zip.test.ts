import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished, vi } from 'vitest';
import { encodeZip } from '../../../src/formats/zip.js';

const files = [
  { name: 'model.json', content: Buffer.from('{"a":1}') },
  { name: 'empty', content: new Uint8Array() },
  { name: 'folder/weights.bin', content: Uint8Array.from({ length: 100_000 }, (_, index) => (index * index) % 251) },
];

const READ = `import json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
print(json.dumps([[entry.filename, entry.file_size, sum(archive.read(entry))] for entry in archive.infolist()]))`;

it('writes what another program reads, checksums included', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'residual-zip-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(path.join(folder, 'files.zip'), encodeZip(files));
  const { stdout } = await promisify(execFile)('python3', ['-c', READ, path.join(folder, 'files.zip')]);
  const sum = (content: Uint8Array) => content.reduce((total, byte) => total + byte, 0);
  expect(JSON.parse(stdout)).toEqual(files.map(({ name, content }) => [name, content.length, sum(content)]));
});

it('gives the same bytes for the same files, on another day as well', () => {
  const first = encodeZip(files);
  vi.useFakeTimers({ now: Date.now() + 86_400_000, toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  expect(encodeZip(files)).toEqual(first);
});

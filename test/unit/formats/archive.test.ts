import { describe, expect, it } from 'vitest';
import { ArchiveError, readArchive, type ArchiveEntry } from '../../../src/formats/archive.js';
import type { ByteSource } from '../../../src/formats/records.js';
import { tar, zip, type ArchiveFile } from '../../helpers/dataset-files.js';

const sourceOf = (bytes: Buffer): ByteSource => ({
  name: 'archive',
  bytes: bytes.length,
  read: async (start, end) => bytes.subarray(start, end),
});

async function entriesOf(bytes: Buffer, limits = { maxBytes: 2 ** 40 }) {
  const problems: string[] = [];
  const entries: ArchiveEntry[] = [];
  for await (const entry of readArchive(sourceOf(bytes), limits, (problem) => problems.push(problem))) entries.push(entry);
  return { entries, problems };
}

const makers = [
  ['zip', async (files: ArchiveFile[]) => zip(files)],
  ['tar', tar],
] as const;
describe.each(makers)('a .%s', (_, make) => {
  it('of thousands of files gives each its own content, in order, whenever it is asked for', async () => {
    const files = Array.from({ length: 3_000 }, (_, index) => ({ name: `folder/${index}.txt`, content: Buffer.from(`content ${index}`) }));
    files[1_500]!.content = Buffer.alloc(300_000, 'x');
    const { entries, problems } = await entriesOf(await make(files));
    expect(problems).toEqual([]);
    expect(entries.map(({ path }) => path)).toEqual(files.map(({ name }) => name));
    const contents = await Promise.all(entries.map((entry) => entry.content()));
    expect(contents.every((content, index) => content.equals(files[index]!.content))).toBe(true);
  });

  it('keeps long and foreign names', async () => {
    const name = `${'ordner/'.repeat(30)}größe-日本.png`;
    const { entries } = await entriesOf(await make([{ name, content: Buffer.from('x') }]));
    expect(entries.map(({ path }) => path)).toEqual([name]);
  });

  it('brings paths into one form', async () => {
    const { entries } = await entriesOf(await make([{ name: './a//b/./c.png', content: Buffer.from('x') }, { name: 'a/d/' }]));
    expect(entries.map(({ path, isFolder }) => [path, isFolder])).toEqual([
      ['a/b/c.png', false],
      ['a/d', true],
    ]);
  });

  it('is refused past its limits', async () => {
    const files = [1, 2, 3].map((index) => ({ name: `${index}`, content: Buffer.alloc(100) }));
    const bytes = await make(files);
    await expect(entriesOf(bytes, { maxBytes: 299 })).rejects.toThrow(
      new ArchiveError('archive: an archive bomb: unpacks to more than 299 bytes'),
    );
    const limits = { maxBytes: 300, maxEntries: 2 };
    await expect(entriesOf(bytes, limits)).rejects.toThrow(new ArchiveError('archive: an archive bomb: more than 2 entries'));
    expect((await entriesOf(bytes, { maxBytes: 300 })).entries).toHaveLength(3);
  });

  it('that is cut off anywhere is broken, never silently shorter', async () => {
    const bytes = await make([1, 2, 3].map((index) => ({ name: `${index}`, content: Buffer.from(`content ${index}`.repeat(99)) })));
    // The blocks of zeros at the end of a .tar say nothing.
    const last = bytes.length - (bytes.subarray(-1_024).every((byte) => byte === 0) ? 1_024 : 0);
    for (let end = 0; end < last; end += 16) await expect(entriesOf(bytes.subarray(0, end))).rejects.toThrow(ArchiveError);
  });
});

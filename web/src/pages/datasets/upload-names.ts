import type { DatasetFormat } from '../../gql/graphql';

/** Which of a format's files a file on the user's disk is: the name that it is uploaded by, or undefined. */
const TARGETS: Record<DatasetFormat, (name: string) => string | undefined> = {
  // Some copies of MNIST have a dot before idx.
  IDX: (name) => /^(train|t10k)-(images|labels)[-.]idx[13]-ubyte(\.gz)?$/.exec(name)?.[0].replace('.idx', '-idx'),
  CIFAR10_BINARY: (name) => /^(cifar-10-binary\.tar\.gz|data_batch_[1-5]\.bin|test_batch\.bin)$/.exec(name)?.[0],
  CIFAR100_BINARY: (name) => /^(cifar-100-binary\.tar\.gz|train\.bin|test\.bin)$/.exec(name)?.[0],
  // Whatever it is called: that of CIFAR is none.
  IMAGE_FOLDER: (name) => {
    const [, ending] = /\.(zip|tar|tar\.gz|tgz)$/i.exec(name) ?? [];
    return ending && `images.${ending.toLowerCase().replace('tgz', 'tar.gz')}`;
  },
};

export const targetName = (format: DatasetFormat, name: string): string | undefined => TARGETS[format](name);

/** What files with these names must be: the first format that knows all of them. */
export function guessFormat(names: readonly string[]): DatasetFormat | undefined {
  if (names.length === 0) return undefined;
  return (Object.keys(TARGETS) as DatasetFormat[]).find((format) => names.every((name) => TARGETS[format](name)));
}

/** A name for the data set where an archive has one. */
export function guessName(names: readonly string[]): string | undefined {
  const [, stem] = /^(.+?)\.(zip|tar|tar\.gz|tgz)$/i.exec(names[0] ?? '') ?? [];
  return stem?.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, '-').replace(/^[^a-z0-9]+/, '');
}

export const FORMAT_FILES: Record<DatasetFormat, string> = {
  IDX:
    'train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, ' +
    'or these with .gz',
  CIFAR10_BINARY: 'cifar-10-binary.tar.gz, or data_batch_1.bin to data_batch_5.bin and test_batch.bin',
  CIFAR100_BINARY: 'cifar-100-binary.tar.gz, or train.bin and test.bin',
  IMAGE_FOLDER: 'one .zip, .tar or .tar.gz with train/class/image and test/class/image',
};

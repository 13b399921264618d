import { expect, it } from 'vitest';
import { acceptedFiles, chooseFiles, missingFiles } from '../../../src/datasets/upload-files.js';
import { CIFAR10, CIFAR100 } from '../../../src/formats/cifar.js';

it.each(['IDX', 'CIFAR10_BINARY', 'CIFAR100_BINARY', 'IMAGE_FOLDER'] as const)('every name of %s is accepted once', (format) => {
  const names = acceptedFiles(format);
  expect(new Set(names).size).toBe(names.length);
  expect(chooseFiles(format, new Set(names))).not.toBeNull();
  expect(chooseFiles(format, new Set())).toBeNull();
});

it('each file of IDX may be packed by itself', () => {
  const files = ['train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte'];
  expect(chooseFiles('IDX', new Set(files))).toEqual(files);
});

it('the official archive goes before the files out of it', () => {
  expect(chooseFiles('CIFAR100_BINARY', new Set(['train.bin', 'test.bin']))).toEqual(['train.bin', 'test.bin']);
  expect(chooseFiles('CIFAR100_BINARY', new Set(['train.bin', 'test.bin', 'cifar-100-binary.tar.gz']))).toEqual([
    'cifar-100-binary.tar.gz',
  ]);
});

it('what is missing is told of the set that was begun', () => {
  expect(missingFiles('CIFAR100_BINARY', new Set(['train.bin']))).toBe('test.bin');
  expect(missingFiles('CIFAR100_BINARY', new Set())).toBe('cifar-100-binary.tar.gz; or instead train.bin, test.bin');
});

it('CIFAR has as many names as classes, those of CIFAR-100 in the order of the alphabet', () => {
  expect(CIFAR10.classNames).toHaveLength(10);
  expect(new Set(CIFAR100.classNames).size).toBe(100);
  expect([...CIFAR100.classNames].sort()).toEqual([...CIFAR100.classNames]);
});

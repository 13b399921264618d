import { expect, it } from 'vitest';
import { chooseShape } from '../../../src/datasets/decode-image-folder.js';

/** `height width channels` with how many images have it. */
const shapes = (counts: Record<string, number>) => chooseShape(new Map(Object.entries(counts)));

it('a size that half of the images have is the size of all', () => {
  expect(shapes({ '10 20 3': 2, '500 600 3': 1, '700 800 3': 1 })).toEqual({ height: 10, width: 20, channels: 3 });
});

it('images of all sizes get the median height and the median width', () => {
  expect(shapes({ '10 90 3': 1, '20 50 3': 1, '30 70 3': 1, '900 60 3': 1, '40 80 3': 1 })).toEqual({ height: 30, width: 70, channels: 3 });
  expect(shapes({ '10 10 3': 3, '20 30 3': 2, '30 20 3': 2 })).toEqual({ height: 20, width: 20, channels: 3 });
});

it('one image of colour makes all of them RGB, of any size', () => {
  expect(shapes({ '8 8 1': 99 })).toEqual({ height: 8, width: 8, channels: 1 });
  expect(shapes({ '8 8 1': 50, '8 8 3': 1 })).toEqual({ height: 8, width: 8, channels: 3 });
});

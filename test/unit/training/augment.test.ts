import { describe, expect, it } from 'vitest';
import { normalisePlan, type PlanInput } from '../../../src/domain/plan.js';
import { drawAugmentation, isAugmented, type Rectangle } from '../../../src/training/augment.js';

const augmentation = (input: NonNullable<PlanInput['augmentation']>) => normalisePlan({ augmentation: input }).augmentation;
const IMAGES = 20_000;
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Of so many images of one epoch. */
function draw(input: NonNullable<PlanInput['augmentation']>, height = 32, width = 32, epoch = 0) {
  const plan = augmentation(input);
  return Array.from({ length: IMAGES }, (_, index) => drawAugmentation(plan, { height, width }, 5, epoch, index));
}

function expectInside(rectangles: readonly Rectangle[], height: number, width: number): void {
  for (const { top, left, height: h, width: w } of rectangles)
    if (!(top >= 0 && left >= 0 && h > 0 && w > 0 && top + h <= height && left + w <= width))
      throw new Error(`${JSON.stringify({ top, left, h, w })} is not inside ${height}x${width}`);
}

describe('random erasing', () => {
  const erasedOf = (randomErasing: number, height?: number, width?: number) =>
    draw({ randomErasing }, height, width).flatMap(({ erased }) => erased ?? []);

  it.each([0.1, 0.5, 1])('takes its share of images: %f', (probability) => {
    // Ten tries find no rectangle that is smaller than the image about once in a million.
    expect(erasedOf(probability).length / IMAGES).toBeCloseTo(probability, 1.7);
  });

  it('erases a share from 0.02 to 0.33 with a ratio from 0.3 to 3.3, each as evenly as it should', () => {
    const [height, width] = [200, 240];
    const erased = erasedOf(1, height, width);
    expectInside(erased, height, width);
    const areas = erased.map((r) => (r.height * r.width) / (height * width));
    const ratios = erased.map((r) => Math.log(r.height / r.width));
    // Rounded to whole pixels.
    expect(Math.min(...areas)).toBeGreaterThan(0.019);
    expect(Math.max(...areas)).toBeLessThan(0.333);
    expect(mean(areas)).toBeCloseTo(0.175, 2);
    expect(Math.min(...ratios)).toBeGreaterThan(Math.log(0.3) - 0.06);
    expect(Math.max(...ratios)).toBeLessThan(Math.log(3.3) + 0.06);
    expect(mean(ratios)).toBeCloseTo(0, 1);
    // Tops reach both ends, and the middle of the rectangles is the image's.
    expect(Math.min(...erased.map(({ top }) => top))).toBe(0);
    expect(Math.max(...erased.map((r) => r.top + r.height))).toBe(height);
    expect(mean(erased.map((r) => r.left + r.width / 2))).toBeCloseTo(width / 2, -0.6);
  });

  it('of an image too flat for any rectangle erases nothing', () => {
    expect(erasedOf(1, 1, 50)).toEqual([]);
  });
});

describe('the random resized crop', () => {
  const partsOf = (height: number, width: number) =>
    draw({ randomResizedCrop: true }, height, width).map(({ part }) => part!);

  it('takes a share from 0.08 to 1 with a ratio from 3/4 to 4/3', () => {
    const [height, width] = [224, 224];
    const parts = partsOf(height, width);
    expectInside(parts, height, width);
    const areas = parts.map((r) => (r.height * r.width) / (height * width));
    const ratios = parts.map((r) => r.width / r.height);
    expect(Math.min(...areas)).toBeGreaterThan(0.078);
    expect(Math.max(...areas)).toBeGreaterThan(0.97);
    // A share s above 3/4 fits where |log ratio| <= -log s, else it is drawn again: 0.478 instead of 0.54.
    expect(mean(areas)).toBeCloseTo(0.478, 2);
    expect(Math.min(...ratios)).toBeGreaterThan(0.73);
    expect(Math.max(...ratios)).toBeLessThan(1.37);
    expect(mean(ratios.map(Math.log))).toBeCloseTo(0, 1.7);
  });

  it('of a narrow image falls back to the largest part in its middle', () => {
    const parts = partsOf(300, 20);
    expectInside(parts, 300, 20);
    expect(parts.filter((r) => r.top === 136 && r.left === 0 && r.height === 27 && r.width === 20).length).toBeGreaterThan(0);
    expect(partsOf(20, 300).some((r) => r.top === 0 && r.left === 136 && r.height === 20 && r.width === 27)).toBe(true);
  });
});

describe('every augmentation of an image', () => {
  const everything = { cropPadding: 4, horizontalFlip: true, randomErasing: 0.5 };

  it('is decided by seed, epoch and index, whatever was drawn before', () => {
    const [plan, size] = [augmentation(everything), { height: 32, width: 32 }];
    const one = drawAugmentation(plan, size, 3, 7, 1234);
    for (let index = 0; index < 50; index++) drawAugmentation(plan, size, 3, 7, index);
    expect(drawAugmentation(plan, size, 3, 7, 1234)).toEqual(one);
    for (const [seed, epoch, index] of [[4, 7, 1234], [3, 8, 1234], [3, 7, 1235]] as const)
      expect(drawAugmentation(plan, size, seed, epoch, index)).not.toEqual(one);
  });

  it('leaves the others as they were', () => {
    const all = draw(everything);
    const cropped = draw({ cropPadding: 4 });
    const erased = draw({ randomErasing: 0.5 });
    expect(all.map(({ top, left }) => [top, left])).toEqual(cropped.map(({ top, left }) => [top, left]));
    expect(all.map((change) => change.erased)).toEqual(erased.map((change) => change.erased));
    const resized = draw({ randomResizedCrop: true, horizontalFlip: true, randomErasing: 0.5 });
    expect(resized.map(({ flip }) => flip)).toEqual(all.map(({ flip }) => flip));
    expect(resized.map((change) => change.erased)).toEqual(all.map((change) => change.erased));
  });

  it('is off in plans that know nothing of it', () => {
    expect(isAugmented({ cropPadding: 0, horizontalFlip: false })).toBe(false);
    expect(isAugmented(augmentation({ mixup: 1, cutmix: 1 }))).toBe(false);
    for (const one of [{ randomErasing: 0.1 }, { randomResizedCrop: true }, { cropPadding: 1 }, { horizontalFlip: true }])
      expect(isAugmented(augmentation(one))).toBe(true);
    const old = drawAugmentation({ cropPadding: 4, horizontalFlip: true }, { height: 32, width: 32 }, 0, 0, 9);
    expect([old.part, old.erased]).toEqual([undefined, undefined]);
  });
});

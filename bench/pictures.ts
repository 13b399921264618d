import sharp from 'sharp';
import { CounterRandom, STREAM } from '../src/domain/seed.js';

/** Pictures as files in base64, each different, with as many bytes as photographs: waves with some noise on them. */
export function pictures(count: number, format: 'png' | 'jpeg'): Promise<string[]> {
  const [width, height] = format === 'png' ? [32, 32] : [640, 480];
  return Promise.all(Array.from({ length: count }, (_, index) => picture(width, height, format, index + 1)));
}

async function picture(width: number, height: number, format: 'png' | 'jpeg', seed: number): Promise<string> {
  const random = new CounterRandom(seed, STREAM.sample, 0);
  const pixels = new Uint8Array(width * height * 3);
  for (let at = 0, y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let channel = 0; channel < 3; channel++) {
        const wave = Math.sin((x * seed + 7 * channel) / 20) * Math.cos((y - x) / (9 + seed));
        pixels[at++] = 128 + 90 * wave + 12 * (2 * random.uniform() - 1);
      }
  const image = sharp(pixels, { raw: { width, height, channels: 3 } });
  return (await (format === 'png' ? image.png() : image.jpeg({ quality: 85 })).toBuffer()).toString('base64');
}

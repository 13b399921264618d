import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { badInput, tooLarge } from '../errors.js';

/** What Triton's clients compress with; `deflate` is zlib's format (RFC 9110, section 8.4.1.2). */
const DECODERS = { gzip: promisify(gunzip), deflate: promisify(inflate) };

/**
 * A body as it was before `Content-Encoding`.
 * @throws BAD_USER_INPUT for another encoding or broken bytes, PAYLOAD_TOO_LARGE for more than `maxBytes`
 */
export async function decompress(body: Buffer, encoding: string | undefined, maxBytes: number): Promise<Buffer> {
  const name = encoding?.trim().toLowerCase() ?? 'identity';
  if (name === 'identity' || name === '') return body;
  if (name !== 'gzip' && name !== 'deflate')
    throw badInput('content-encoding', `Content-Encoding ${name} is not read; send gzip, deflate or none`);
  try {
    return await DECODERS[name](body, { maxOutputLength: maxBytes });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(`the body unpacks to more than ${maxBytes} bytes`);
    throw badInput('content-encoding', `the body is not ${name}: ${message}`);
  }
}

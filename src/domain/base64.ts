/**
 * Bytes of base64, RFC 4648 section 4, with padding.
 * @returns null where that is no text, or another than the bytes are written as: Node.js leaves out what is no base64
 */
export function decodeBase64(text: unknown): Buffer | null {
  if (typeof text !== 'string') return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

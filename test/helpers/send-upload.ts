interface Target {
  readonly url: string;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * To the object store. Once more where the connection broke: one that is kept alive may be closed just as it is used, and
 * a PUT may be sent again (RFC 9110, 9.2.2).
 */
export async function sendUpload({ url, method, headers }: Target, body: Uint8Array): Promise<void> {
  const send = () => fetch(url, { method, headers: { ...headers }, body: body as Uint8Array<ArrayBuffer> });
  const response = await send().catch(send);
  if (!response.ok) throw new Error(`${new URL(url).pathname}: ${response.status} ${await response.text()}`);
}

export interface Target {
  readonly method: string;
  readonly url: string;
  readonly headers: unknown;
}

/**
 * Sends a file to a presigned URL. By XMLHttpRequest, since `fetch` does not tell how far an upload is.
 * @param onProgress is told the share of the bytes that went, 0 to 1
 * @throws Error saying what a user can act on
 */
export function sendFile(file: File, target: Target, onProgress: (share: number) => void): Promise<void> {
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 1);
    request.onload = () => {
      if (request.status < 300) return resolve();
      reject(new Error(`the object store refused it (${request.status}): ${reasonOf(request.responseText)}`));
    };
    request.onerror = () =>
      reject(new Error('it could not be sent: the object store is away, or does not let this page send (CORS)'));
    request.open(target.method, target.url);
    const headers = Object.entries(target.headers as Record<string, string>);
    for (const [name, value] of headers) request.setRequestHeader(name, value);
    request.send(file);
  });
}

/** S3 answers in XML. */
const reasonOf = (answer: string) => /<Message>(.*?)<\/Message>/s.exec(answer)?.[1] ?? 'it did not say why';

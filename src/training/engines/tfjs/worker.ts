/** The thread's entry: holds the sessions and answers one request after another. */
import { parentPort } from 'node:worker_threads';
import { loadBackend } from './backend.js';
import { TfjsSession } from './session.js';
import { transferable, type Reply, type Request } from './thread.js';

const device = loadBackend();
const sessions = new Map<number, TfjsSession>();

parentPort!.on('message', (request: Request) => {
  void answer(request).then((reply) => parentPort!.postMessage(reply, transferable(reply.value)));
});

async function answer(request: Request): Promise<Reply> {
  try {
    return { id: request.id, value: await run(request) };
  } catch (error) {
    return { id: request.id, error: error instanceof Error ? error : new Error(String(error)) };
  }
}

async function run({ method, session: number, args }: Request): Promise<unknown> {
  const described = await device;
  if (method === 'describe') return described;
  if (method === 'open') {
    sessions.set(number, new TfjsSession(...(args as ConstructorParameters<typeof TfjsSession>)));
    return undefined;
  }
  const session = sessions.get(number)!;
  if (method === 'close') sessions.delete(number);
  return (session[method] as (...args: unknown[]) => unknown).apply(session, [...args]);
}

import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import path from 'node:path';

/** Debian's own, which its packages are for. */
const PYTHON = '/usr/bin/python3';

/** reference.py, running: what it answers to a request. */
export interface TorchvisionReference {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each request has its own answer
  ask(request: { do: 'make' | 'load'; name: string; file: string }): Promise<any>;
  close(): void;
}

/** @throws Error that says how to install PyTorch and torchvision where they are missing. */
export function startTorchvision(): TorchvisionReference {
  const check = spawnSync(PYTHON, ['-c', 'import torch, torchvision'], { encoding: 'utf8' });
  if (check.status !== 0)
    throw new Error(
      'this test compares with torchvision; as root, run: apt-get install -y python3-torch python3-torchvision\n' +
        (check.error?.message ?? check.stderr),
    );
  const child = spawn(PYTHON, [path.join(import.meta.dirname, 'reference.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value } = await answers.next();
      const answer = JSON.parse(value ?? '{"error":"reference.py ended"}');
      if (answer.error) throw new Error(`${request.do} ${request.name}: ${answer.error}`);
      return answer;
    },
    close: () => child.stdin.end(),
  };
}

import { SingleBar } from 'cli-progress';

/** What the display shows of a run, as `runProgress` tells it. */
export interface RunProgress {
  readonly status: string;
  readonly epoch: number;
  /** 0 to 1, which it is too where it stopped early. */
  readonly progress: number;
  readonly etaSeconds: number | null;
  readonly steps: readonly { readonly loss: number; readonly accuracy: number; readonly imagesPerSecond: number }[];
}

export interface ProgressDisplay {
  show(run: RunProgress): void;
  close(): void;
}

const LINE_EVERY_MS = 5_000;

/** A bar that moves on a terminal, else a line every five seconds and whenever the status is another. */
export function displayProgress(epochs: number, output: NodeJS.WriteStream): ProgressDisplay {
  return output.isTTY ? bar(epochs, output) : lines(epochs, output);
}

function bar(epochs: number, stream: NodeJS.WriteStream): ProgressDisplay {
  const format = '  {bar} {percentage}% | {words}';
  const single = new SingleBar({ format, stream, hideCursor: true, barsize: 24 });
  let started = false;
  return {
    show(run) {
      const payload = { words: words(run, epochs) };
      if (started) single.update(run.progress, payload);
      else single.start(1, run.progress, payload);
      started = true;
    },
    close: () => single.stop(),
  };
}

function lines(epochs: number, output: NodeJS.WriteStream): ProgressDisplay {
  let last = { at: -Infinity, status: '' };
  return {
    show(run) {
      const { status, progress } = run;
      const now = performance.now();
      if (now - last.at < LINE_EVERY_MS && status === last.status) return;
      last = { at: now, status };
      output.write(`  ${`${Math.floor(100 * progress)}%`.padStart(4)} | ${words(run, epochs)}\n`);
    },
    close: () => undefined,
  };
}

function words({ status, epoch, etaSeconds, steps }: RunProgress, epochs: number): string {
  const latest = steps.at(-1);
  if (latest === undefined) return status.toLowerCase();
  return [
    `epoch ${Math.max(epoch, 1)}/${epochs}`,
    `loss ${latest.loss.toFixed(3)}`,
    `accuracy ${latest.accuracy.toFixed(3)}`,
    `${Math.round(latest.imagesPerSecond)} images/s`,
    ...(etaSeconds === null ? [] : [`${duration(etaSeconds)} left`]),
  ].join(' | ');
}

/** 95 -> 1:35 */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

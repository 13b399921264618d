import type { TrainingPlan } from '../domain/plan.js';
import type { ComputePrecision, Engine, EngineName } from './engine.js';

/** This machine cannot train what the plan asks for; the message says what to install or to ask for instead. */
export class EngineUnavailableError extends Error {
  override readonly name = 'EngineUnavailableError';
}

export interface EngineChoice {
  readonly engine: Engine;
  readonly precision: ComputePrecision;
  /** That a step computes with; null where the engine has its own way (TFJS). */
  readonly threads: number | null;
}

export interface EngineWish extends Pick<TrainingPlan, 'engine' | 'precision'> {
  /** Another number than this process has, for a run that began with it: its sums depend on how they are split. */
  readonly threads?: number | null | undefined;
}

const INSTALL =
  'no training engine on this machine: build the oneDNN engine (Debian package libdnnl-dev, then `npm run native`), ' +
  'or install @tensorflow/tfjs-node-gpu on a machine with an NVIDIA GPU';

/** The engines of this machine, each made once and when it is first asked for. */
export class EngineSet {
  private readonly made = new Map<string, Promise<Engine>>();

  /** `threads`: that one training step computes with, unless its run wants others. */
  constructor(private readonly threads: number) {}

  /**
   * AUTO: tfjs where it has a GPU, else onednn; and the engine's fastest precision.
   * @throws EngineUnavailableError
   */
  async select(wanted: EngineWish): Promise<EngineChoice> {
    const name = wanted.engine === 'AUTO' ? await this.automatic() : wanted.engine;
    const threads = name === 'ONEDNN' ? (wanted.threads ?? this.threads) : null;
    const engine = await this.engine(name, threads);
    const precision = wanted.precision === 'AUTO' ? engine.precisions[0]! : wanted.precision;
    if (!engine.precisions.includes(precision))
      throw new EngineUnavailableError(
        `${precision} is not computed by ${engine.name} on this machine (${engine.device}), which has ${engine.precisions.join(', ')}`,
      );
    return { engine, precision, threads };
  }

  private async automatic(): Promise<EngineName> {
    const { tfjsGpuAvailable } = await import('./engines/tfjs.js');
    return (await tfjsGpuAvailable()) ? 'TFJS' : 'ONEDNN';
  }

  private engine(name: EngineName, threads: number | null): Promise<Engine> {
    const key = `${name}:${threads}`;
    const known = this.made.get(key);
    if (known) return known;
    const making = threads === null ? makeTfjs() : makeOneDnn(threads);
    this.made.set(key, making);
    making.catch(() => this.made.delete(key));
    return making;
  }
}

async function makeOneDnn(threads: number): Promise<Engine> {
  const { createOneDnnEngine, oneDnnAvailable } = await import('./engines/onednn.js');
  const available = oneDnnAvailable();
  if (available !== true) throw new EngineUnavailableError(`${INSTALL}; ${available}`);
  return createOneDnnEngine({ threads });
}

async function makeTfjs(): Promise<Engine> {
  const { createTfjsEngine } = await import('./engines/tfjs.js');
  return createTfjsEngine();
}

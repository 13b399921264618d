import type { TrainingPlan } from '../domain/plan.js';
import type { ComputePrecision, Engine, EngineName } from './engine.js';

/** This machine cannot train what the plan asks for; the message says what to install or to ask for instead. */
export class EngineUnavailableError extends Error {
  override readonly name = 'EngineUnavailableError';
}

export interface EngineChoice {
  readonly engine: Engine;
  readonly precision: ComputePrecision;
}

const INSTALL =
  'no training engine on this machine: build the oneDNN engine (Debian package libdnnl-dev, then `npm run native`), ' +
  'or install @tensorflow/tfjs-node-gpu on a machine with an NVIDIA GPU';

/** The engines of this machine, each made once and when it is first asked for. */
export class EngineSet {
  private readonly made = new Map<EngineName, Promise<Engine>>();

  /** `threads`: that one training step computes with. */
  constructor(private readonly threads: number) {}

  /**
   * AUTO: tfjs where it has a GPU, else onednn; and the engine's fastest precision.
   * @throws EngineUnavailableError
   */
  async select(wanted: Pick<TrainingPlan, 'engine' | 'precision'>): Promise<EngineChoice> {
    const engine = await this.engine(wanted.engine === 'AUTO' ? await this.automatic() : wanted.engine);
    const precision = wanted.precision === 'AUTO' ? engine.precisions[0]! : wanted.precision;
    if (!engine.precisions.includes(precision))
      throw new EngineUnavailableError(
        `${precision} is not computed by ${engine.name} on this machine (${engine.device}), which has ${engine.precisions.join(', ')}`,
      );
    return { engine, precision };
  }

  private async automatic(): Promise<EngineName> {
    const { tfjsGpuAvailable } = await import('./engines/tfjs.js');
    return (await tfjsGpuAvailable()) ? 'TFJS' : 'ONEDNN';
  }

  private engine(name: EngineName): Promise<Engine> {
    const known = this.made.get(name);
    if (known) return known;
    const making = name === 'ONEDNN' ? this.makeOneDnn() : makeTfjs();
    this.made.set(name, making);
    making.catch(() => this.made.delete(name));
    return making;
  }

  private async makeOneDnn(): Promise<Engine> {
    const { createOneDnnEngine, oneDnnAvailable } = await import('./engines/onednn.js');
    const available = oneDnnAvailable();
    if (available !== true) throw new EngineUnavailableError(`${INSTALL}; ${available}`);
    return createOneDnnEngine({ threads: this.threads });
  }
}

async function makeTfjs(): Promise<Engine> {
  const { createTfjsEngine } = await import('./engines/tfjs.js');
  return createTfjsEngine();
}

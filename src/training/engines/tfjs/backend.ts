import * as tf from '@tensorflow/tfjs';

export interface Device {
  /** For people: `@tensorflow/tfjs-node-gpu, GPU 0`. */
  readonly description: string;
  readonly gpu: boolean;
}

/** Best first. Each registers itself with @tensorflow/tfjs when it is imported. */
const NATIVE_BACKENDS = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

/** Makes the best backend that this machine has the current one. */
export async function loadBackend(): Promise<Device> {
  // Without it TensorFlow.js writes its advice to install a native backend into the worker's log.
  tf.enableProdMode();
  for (const name of NATIVE_BACKENDS) {
    try {
      await import(name);
      await tf.ready();
      return describeNative(name);
    } catch {
      // Not installed, or installed without its library: the next one serves.
    }
  }
  await tf.setBackend('cpu');
  return { description: "TensorFlow.js's JavaScript CPU backend", gpu: false };
}

/** The GPU package computes on the CPU where it finds no device, so that the package's name alone says nothing. */
function describeNative(name: string): Device {
  const { isUsingGpuDevice: gpu = false } = tf.backend() as { isUsingGpuDevice?: boolean };
  return { description: gpu ? `${name}, GPU 0` : `${name}, CPU`, gpu };
}

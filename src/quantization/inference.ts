/** A network that an ONNX runtime has loaded. */
export interface Inference {
  /**
   * @param images (size, C, H, W) float32, normalised; handed over, so not to be used afterwards
   * @returns (size, …) of the output that it was opened for
   */
  run(images: Float32Array, size: number): Promise<Float32Array>;
  release(): Promise<void>;
}

/** Loads a file for one of its outputs. What does so is its caller's to choose: this room knows no runtime. */
export type OpenOnnx = (onnx: Uint8Array, output: 'extremes' | 'logits') => Promise<Inference>;

/**
 * Who names a ResNet's tensors how, and what each is called here. Ours are torchvision's names, and timm's where
 * torchvision has none.
 *
 * - `TORCHVISION`: `conv1`, `bn1`, `layer<s>.<b>.conv<n>`, `.bn<n>`, `.downsample.<0|1>`, `fc`. timm's `resnet*`,
 *   `resnext*`, `wide_resnet*` and `seresnet*` are the same, and beyond torchvision's: the deep stem `conv1.0` to
 *   `conv1.6` (ResNet-D), `downsample.1` and `.2` behind the average pool, which is `downsample.0` and has no tensors
 *   (ResNet-D), `se.fc1` and `se.fc2` (1x1 convolutions).
 * - `TRANSFORMERS`: Hugging Face's `ResNetForImageClassification`. Stages, layers and convolutions count from 0:
 *   `resnet.embedder.embedder` is the stem, `resnet.encoder.stages.<s>.layers.<b>.layer.<n>` a convolution of a block
 *   with its norm, `.shortcut` the projection with its norm (each `.convolution` and `.normalization`), `classifier.1`
 *   the head.
 *
 * Layouts and the names of a module's own tensors (`weight`, `bias`, `running_mean`, …) are PyTorch's in all of them.
 */
export type NameScheme = 'TORCHVISION' | 'TRANSFORMERS';

/** What a scheme says in a file's tensor names that no other scheme says. */
const MARKS: Record<NameScheme, RegExp> = {
  TORCHVISION: /^(conv1|bn1|layer\d+\.\d+|fc)\./,
  TRANSFORMERS: /^(resnet\.(embedder|encoder)|classifier\.1)\./,
};

/** The scheme that most of the names follow; null where none follows any. */
export function recogniseScheme(names: Iterable<string>): NameScheme | null {
  const all = [...names];
  const followers = (scheme: NameScheme) => all.filter((name) => MARKS[scheme].test(name)).length;
  const [torchvision, transformers] = [followers('TORCHVISION'), followers('TRANSFORMERS')];
  if (torchvision + transformers === 0) return null;
  return transformers > torchvision ? 'TRANSFORMERS' : 'TORCHVISION';
}

type Rule = readonly [pattern: RegExp, name: (...parts: string[]) => string];
const next = (index: string) => String(Number(index) + 1);

/** Hugging Face's module, and ours. */
const TRANSFORMERS: readonly Rule[] = [
  [/^resnet\.embedder\.embedder\.convolution$/, () => 'conv1'],
  [/^resnet\.embedder\.embedder\.normalization$/, () => 'bn1'],
  [
    /^resnet\.encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.(convolution|normalization)$/,
    (stage, block, index, kind) => `layer${next(stage!)}.${block}.${kind === 'convolution' ? 'conv' : 'bn'}${next(index!)}`,
  ],
  [
    /^resnet\.encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.(convolution|normalization)$/,
    (stage, block, kind) => `layer${next(stage!)}.${block}.downsample.${kind === 'convolution' ? 0 : 1}`,
  ],
  [/^classifier\.1$/, () => 'fc'],
];

/** Our name of a tensor; null for one that no network of the scheme has. */
export function ourName(scheme: NameScheme, name: string): string | null {
  if (scheme === 'TORCHVISION') return name;
  const end = name.lastIndexOf('.');
  const [module, tensor] = [name.slice(0, Math.max(end, 0)), name.slice(end + 1)];
  for (const [pattern, rename] of TRANSFORMERS) {
    const match = pattern.exec(module);
    if (match) return `${rename(...match.slice(1))}.${tensor}`;
  }
  return null;
}

"""Writes, for a small basic and a small bottleneck network, what PyTorch makes of them in training.

    /usr/bin/python3 test/golden/training/make.py      (Debian 12: apt-get install python3-torch; made with 1.13)

Computed in float64 from float32 inputs and rounded at the end, so that the figures are exact to float32's last digits.
Each file: `initial.*` tensors, `images` (B, N, H, W, C) and `labels` (B, N), `evaluation.logits` of batch 0 under the
initial running statistics; from one step on batch 0: `step.logits`, `step.loss`, `gradient.*`, `after.*` (running
statistics); and for each optimizer the `losses.*` of 20 steps over the batches in turn. `autocast.deviations`: how far
PyTorch's own gradients stray, tensor by tensor, when its convolutions compute in bfloat16: ||g' - g|| / ||g||, the
measure for ours. The definition of the network and of the optimizers is in the metadata. The modules are written after
torchvision, not after src/domain/network.

Where a ReLU's input is 0 but for rounding, or two pixels of a max pool are equal but for rounding, the last bit decides
which way the gradient goes, and no two float32 programs need agree from there on. So seeds are tried until no such input
comes closer than `MARGIN` in all of the steps.
"""
import itertools
import json
import os
import struct

import torch
from torch import nn
import torch.nn.functional as F

STEPS, BATCHES, SIZE = 20, 4, 8
# Several roundings of float32 values around 1.
MARGIN = 1e-6
# The gradient of a bias before a batch norm is zero in theory and rounding noise in practice.
GRADIENT_FLOOR = 0.02
BASE = dict(groups=1, widthPerGroup=None, widthMultiplier=1, squeezeExcitation=0, strideInFirstConv=False,
            dropPath=0, dropout=0, zeroInitResidual=False, preset=None)
CASES = {
    # Odd sides, a projection with norm, channels that fill no vector register.
    'basic': dict(definition={**BASE, 'block': 'BASIC', 'stem': dict(kind='CONV3X3', width=8), 'shortcut': 'PROJECTION',
                              'stages': [dict(blocks=1, width=8, stride=1), dict(blocks=2, width=20, stride=2)],
                              'shortcutNorm': True, 'convBias': False, 'numClasses': 5,
                              'inputShape': dict(height=11, width=9, channels=3)}, labelSmoothing=0.1),
    # Max pool, projections without norm, convolution biases, groups, one input channel.
    'bottleneck': dict(definition={**BASE, 'block': 'BOTTLENECK', 'stem': dict(kind='CONV7X7_POOL', width=16),
                                   'stages': [dict(blocks=2, width=8, stride=1), dict(blocks=1, width=16, stride=2)],
                                   'shortcut': 'PROJECTION', 'shortcutNorm': False, 'convBias': True, 'groups': 2,
                                   'numClasses': 7, 'inputShape': dict(height=18, width=14, channels=1)},
                       labelSmoothing=0.0),
    # He's parameter-free shortcut.
    'pad': dict(definition={**BASE, 'block': 'BASIC', 'stem': dict(kind='CONV3X3', width=16), 'shortcut': 'IDENTITY_PAD',
                            'stages': [dict(blocks=1, width=16, stride=1), dict(blocks=1, width=32, stride=2)],
                            'shortcutNorm': True, 'convBias': False, 'numClasses': 3,
                            'inputShape': dict(height=8, width=8, channels=3)}, labelSmoothing=0.0),
}
OPTIMIZERS = {
    'sgd': dict(kind='SGD', learningRate=0.01, momentum=0.9, nesterov=True, weightDecay=0.01),
    'sgd-plain': dict(kind='SGD', learningRate=0.02, momentum=0.0, nesterov=False, weightDecay=0.0),
    'sgd-heavy-ball': dict(kind='SGD', learningRate=0.005, momentum=0.9, nesterov=False, weightDecay=0.0),
    'adam': dict(kind='ADAM', learningRate=0.001, weightDecay=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8),
    'adamw': dict(kind='ADAMW', learningRate=0.001, weightDecay=0.05, beta1=0.8, beta2=0.99, epsilon=1e-6),
}


closest = float('inf')


def relu(x):
    global closest
    closest = min(closest, x.abs().min().item())
    return F.relu(x)


def max_pool(x):
    """Of ReLU's output: pixels that are both 0 pass no gradient on, whichever is taken."""
    global closest
    windows = F.unfold(F.pad(x, (1, 1, 1, 1)), 3, stride=2).reshape(x.shape[0], x.shape[1], 9, -1)
    first, second = windows.topk(2, 2).values.unbind(2)
    closest = min(closest, (first - second)[first > 0].min().item())
    return F.max_pool2d(x, 3, 2, 1)


class Block(nn.Module):
    def __init__(self, d, cin, width, stride):
        super().__init__()
        bias, bottleneck = d['convBias'], d['block'] == 'BOTTLENECK'
        out = 4 * width if bottleneck else width
        if bottleneck:
            kernels = [(cin, width, 1, 1, 1), (width, width, 3, stride, d['groups']), (width, out, 1, 1, 1)]
        else:
            kernels = [(cin, width, 3, stride, 1), (width, width, 3, 1, 1)]
        self.depth = len(kernels)
        for i, (a, b, k, s, g) in enumerate(kernels, 1):
            setattr(self, f'conv{i}', nn.Conv2d(a, b, k, s, k // 2, groups=g, bias=bias))
            setattr(self, f'bn{i}', nn.BatchNorm2d(b))
        self.stride, self.added, self.downsample = stride, out - cin, None
        if (stride != 1 or cin != out) and d['shortcut'] == 'PROJECTION':
            layers = [nn.Conv2d(cin, out, 1, stride, bias=bias)] + ([nn.BatchNorm2d(out)] if d['shortcutNorm'] else [])
            self.downsample = nn.Sequential(*layers)

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f'bn{i}')(getattr(self, f'conv{i}')(y))
            y = relu(y) if i < self.depth else y
        if self.downsample is not None:
            x = self.downsample(x)
        elif self.added:
            x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.added))
        return relu(y + x)


class Net(nn.Module):
    def __init__(self, d):
        super().__init__()
        width, self.pool = d['stem']['width'], d['stem']['kind'] == 'CONV7X7_POOL'
        kernel, stride = (7, 2) if self.pool else (3, 1)
        self.conv1 = nn.Conv2d(d['inputShape']['channels'], width, kernel, stride, kernel // 2, bias=d['convBias'])
        self.bn1 = nn.BatchNorm2d(width)
        self.stages = len(d['stages'])
        for i, stage in enumerate(d['stages'], 1):
            blocks = []
            for j in range(stage['blocks']):
                blocks.append(Block(d, width, stage['width'], stage['stride'] if j == 0 else 1))
                width = stage['width'] * (4 if d['block'] == 'BOTTLENECK' else 1)
            setattr(self, f'layer{i}', nn.Sequential(*blocks))
        self.fc = nn.Linear(width, d['numClasses'])

    def forward(self, x):
        x = relu(self.bn1(self.conv1(x)))
        x = max_pool(x) if self.pool else x
        for i in range(1, self.stages + 1):
            x = getattr(self, f'layer{i}')(x)
        return self.fc(x.mean((2, 3)))


def make_optimizer(net, o):
    weights = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    groups = [dict(params=weights, weight_decay=o['weightDecay']), dict(params=others, weight_decay=0.0)]
    if o['kind'] == 'SGD':
        return torch.optim.SGD(groups, o['learningRate'], momentum=o['momentum'], nesterov=o['nesterov'])
    kind = torch.optim.Adam if o['kind'] == 'ADAM' else torch.optim.AdamW
    return kind(groups, o['learningRate'], betas=(o['beta1'], o['beta2']), eps=o['epsilon'])


def state(net):
    return {name: t.clone() for name, t in net.state_dict().items() if not name.endswith('num_batches_tracked')}


def deviations(d, initial, x, y, smoothing, exact):
    net = Net(d)
    net.load_state_dict(initial, strict=False)
    net.float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        logits = net(x.float())
    F.cross_entropy(logits.float(), y, label_smoothing=smoothing).backward()
    pairs = zip(net.parameters(), exact.parameters())
    return torch.stack([(p.grad - q.grad).norm() / q.grad.norm().clamp(min=GRADIENT_FLOOR) for p, q in pairs])


def run(case, seed):
    global closest
    d, smoothing = case['definition'], case['labelSmoothing']
    shape, generator = d['inputShape'], torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = Net(d)
    with torch.no_grad():
        for name, t in net.state_dict().items():
            if name.endswith('running_var'):
                t.uniform_(0.5, 1.5)
            elif t.dim() == 1:
                t.add_(0.2 * torch.randn(t.shape))
    net.load_state_dict({name: t.float().double() for name, t in net.state_dict().items()})
    images = torch.randn(BATCHES, SIZE, shape['height'], shape['width'], shape['channels'], generator=generator).float().double()
    labels = torch.randint(0, d['numClasses'], (BATCHES, SIZE), generator=generator)
    inputs = images.permute(0, 1, 4, 2, 3)
    initial = state(net)
    out = {f'initial.{name}': t for name, t in initial.items()}
    out.update(images=images, labels=labels)
    out['evaluation.logits'] = net.eval()(inputs[0]).detach()
    logits = net.train()(inputs[0])
    loss = F.cross_entropy(logits, labels[0], label_smoothing=smoothing)
    loss.backward()
    out['step.logits'], out['step.loss'] = logits.detach(), loss.detach().reshape(1)
    out.update({f'gradient.{name}': p.grad.clone() for name, p in net.named_parameters()})
    out.update({f'after.{name}': t for name, t in state(net).items() if 'running' in name})
    exact_closest = closest
    out['autocast.deviations'] = deviations(d, initial, inputs[0], labels[0], smoothing, net)
    closest = exact_closest  # bfloat16 is nobody's reference
    for key, o in OPTIMIZERS.items():
        net.load_state_dict(initial, strict=False)
        optimizer, losses = make_optimizer(net, o), []
        for step in range(STEPS):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(inputs[step % BATCHES]), labels[step % BATCHES], label_smoothing=smoothing)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        out[f'losses.{key}'] = torch.stack(losses)
    return out


def write(path, tensors, metadata):
    header, data = {'__metadata__': metadata}, b''
    for name, t in tensors.items():
        kind, t = ('I32', t.int()) if t.dtype == torch.int64 else ('F32', t.float())
        raw = t.contiguous().numpy().tobytes()
        header[name] = dict(dtype=kind, shape=list(t.shape), data_offsets=[len(data), len(data) + len(raw)])
        data += raw
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + data)


if __name__ == '__main__':
    torch.set_default_dtype(torch.float64)
    for name, case in CASES.items():
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f'{name}.safetensors')
        metadata = dict(definition=json.dumps(case['definition']), labelSmoothing=str(case['labelSmoothing']),
                        optimizers=json.dumps(OPTIMIZERS))
        for seed in itertools.count():
            closest = float('inf')
            tensors = run(case, seed)
            if closest > MARGIN:
                break
        write(path, tensors, metadata)
        print(name, f'seed {seed}, closest {closest:.1e}', os.path.getsize(path))

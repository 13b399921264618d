"""Writes one safetensors file for each kind of ResNet: a PyTorch module's state_dict with random running statistics,
an input and the logits of its evaluation, and in the metadata the definition that must give the same network.

    /usr/bin/python3 test/golden/variants/make.py            (Debian 12: apt-get install python3-torch; 1.13)
    /usr/bin/python3 test/golden/variants/make.py check FILE loads a file of ours with strict=True and prints its logits

The modules are written here after torchvision, timm and the papers, not after src/domain/network.
"""
import json
import os
import struct
import sys

import torch
from torch import nn
import torch.nn.functional as F

STAGES = [dict(blocks=1, width=4, stride=1), dict(blocks=2, width=8, stride=2)]
BASE = dict(block='BASIC', stem=dict(kind='CONV3X3', width=4), stages=STAGES, shortcut='PROJECTION', shortcutNorm=True,
            groups=1, widthPerGroup=None, widthMultiplier=1, squeezeExcitation=0, strideInFirstConv=False, convBias=False)


def variant(size=(9, 8), channels=3, classes=5, **changes):
    return dict(architecture={**BASE, **changes}, numClasses=classes,
                inputShape=dict(height=size[0], width=size[1], channels=channels))


VARIANTS = {
    'basic-pad': variant(shortcut='IDENTITY_PAD'),
    'basic-projection': variant(channels=1),
    'basic-projection-all': variant(shortcut='PROJECTION_ALL'),
    'bottleneck': variant(size=(37, 33), block='BOTTLENECK', stem=dict(kind='CONV7X7_POOL', width=8)),
    'notebook': variant(block='BOTTLENECK', shortcutNorm=False, strideInFirstConv=True, convBias=True),
    'resnext': variant(block='BOTTLENECK', groups=4, widthPerGroup=32),
    'wide-bottleneck': variant(block='BOTTLENECK', widthMultiplier=2),
    'deep-stem': variant(size=(33, 34), block='BOTTLENECK', stem=dict(kind='DEEP3X3_POOL', width=8), shortcut='AVERAGE_POOL'),
    'squeeze-excitation': variant(squeezeExcitation=2),
    'preactivated-wide': variant(block='PREACT_BASIC', shortcutNorm=False, widthMultiplier=2),
    'preactivated-bottleneck': variant(size=(32, 32), block='PREACT_BOTTLENECK', shortcutNorm=False, stem=dict(kind='CONV7X7_POOL', width=8)),
}


class SqueezeExcitation(nn.Module):
    def __init__(self, channels, ratio):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, int(channels // ratio), 1)
        self.fc2 = nn.Conv2d(int(channels // ratio), channels, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


class Block(nn.Module):
    def __init__(self, a, cin, planes, stride):
        super().__init__()
        self.a, self.stride, bias = a, stride, a['convBias']
        self.pre = a['block'].startswith('PREACT')
        if a['block'].endswith('BOTTLENECK'):
            width = planes * a['widthMultiplier']
            if a['widthPerGroup']:
                width = int(width * (a['widthPerGroup'] / 64.0)) * a['groups']
            self.cout = planes * 4
            s1, s2 = (stride, 1) if a['strideInFirstConv'] else (1, stride)
            convs = [nn.Conv2d(cin, width, 1, s1, bias=bias),
                     nn.Conv2d(width, width, 3, s2, 1, groups=a['groups'], bias=bias),
                     nn.Conv2d(width, self.cout, 1, bias=bias)]
        else:
            self.cout = width = planes * a['widthMultiplier']
            convs = [nn.Conv2d(cin, width, 3, stride, 1, bias=bias), nn.Conv2d(width, width, 3, 1, 1, bias=bias)]
        for i, conv in enumerate(convs):
            if self.pre:
                setattr(self, f'bn{i + 1}', nn.BatchNorm2d(conv.in_channels))
            setattr(self, f'conv{i + 1}', conv)
            if not self.pre:
                setattr(self, f'bn{i + 1}', nn.BatchNorm2d(conv.out_channels))
        self.convs = len(convs)
        if a['squeezeExcitation']:
            self.se = SqueezeExcitation(self.cout, a['squeezeExcitation'])
        fits = stride == 1 and cin == self.cout
        kind = a['shortcut']
        self.downsample = None
        if kind != 'IDENTITY_PAD' and (not fits or kind == 'PROJECTION_ALL'):
            pool = kind == 'AVERAGE_POOL'
            parts = [nn.Conv2d(cin, self.cout, 1, 1 if pool else stride, bias=bias)]
            if a['shortcutNorm']:
                parts.append(nn.BatchNorm2d(self.cout))
            if pool:
                parts.insert(0, nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity())
            self.downsample = nn.Sequential(*parts)

    def forward(self, x):
        y = F.relu(self.bn1(x)) if self.pre else x
        first = y
        for i in range(1, self.convs + 1):
            y = getattr(self, f'conv{i}')(y)
            if not self.pre:
                y = getattr(self, f'bn{i}')(y)
            if i < self.convs:
                y = F.relu(y if not self.pre else getattr(self, f'bn{i + 1}')(y))
        if self.a['squeezeExcitation']:
            y = self.se(y)
        if self.downsample is not None:
            x = self.downsample(first)
        elif x.shape != y.shape:
            x = x[:, :, ::self.stride, ::self.stride]
            x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return y + x if self.pre else F.relu(y + x)


class ResNet(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.a = a = d['architecture']
        self.pre = a['block'].startswith('PREACT')
        kind, width, c, bias = a['stem']['kind'], a['stem']['width'], d['inputShape']['channels'], a['convBias']
        if kind == 'DEEP3X3_POOL':
            w = width // 2
            self.conv1 = nn.Sequential(
                nn.Conv2d(c, w, 3, 2, 1, bias=bias), nn.BatchNorm2d(w), nn.ReLU(), nn.Conv2d(w, w, 3, 1, 1, bias=bias),
                nn.BatchNorm2d(w), nn.ReLU(), nn.Conv2d(w, width, 3, 1, 1, bias=bias))
        else:
            self.conv1 = nn.Conv2d(c, width, 3, 1, 1, bias=bias) if kind == 'CONV3X3' else nn.Conv2d(c, width, 7, 2, 3, bias=bias)
        self.pool = kind != 'CONV3X3'
        if self.pool or not self.pre:
            self.bn1 = nn.BatchNorm2d(width)
        for i, stage in enumerate(a['stages']):
            blocks = []
            for j in range(stage['blocks']):
                blocks.append(Block(a, width, stage['width'], stage['stride'] if j == 0 else 1))
                width = blocks[-1].cout
            setattr(self, f'layer{i + 1}', nn.Sequential(*blocks))
        if self.pre:
            self.norm = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, d['numClasses'])

    def forward(self, x):
        x = self.conv1(x)
        if hasattr(self, 'bn1'):
            x = F.relu(self.bn1(x))
        if self.pool:
            x = F.max_pool2d(x, 3, 2, 1)
        for i in range(len(self.a['stages'])):
            x = getattr(self, f'layer{i + 1}')(x)
        if self.pre:
            x = F.relu(self.norm(x))
        return self.fc(x.mean((2, 3)))


def randomise(module):
    for m in module.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, 0, 0.3)
            nn.init.normal_(m.running_mean, 0, 0.5)
            nn.init.uniform_(m.running_var, 0.3, 2)
            m.num_batches_tracked.fill_(17)


def save(path, tensors, metadata):
    header, offset, parts = {'__metadata__': metadata}, 0, []
    for name, t in tensors.items():
        data = t.detach().contiguous().numpy().tobytes()
        dtype = {torch.float32: 'F32', torch.int64: 'I64'}[t.dtype]
        header[name] = dict(dtype=dtype, shape=list(t.shape), data_offsets=[offset, offset + len(data)])
        offset += len(data)
        parts.append(data)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + b''.join(parts))


def load(path):
    raw = open(path, 'rb').read()
    size = struct.unpack('<Q', raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    metadata = header.pop('__metadata__', {})
    tensors = {}
    for name, entry in header.items():
        start, end = (8 + size + offset for offset in entry['data_offsets'])
        dtype = {'F32': torch.float32, 'I64': torch.int64}[entry['dtype']]
        tensors[name] = torch.frombuffer(bytearray(raw[start:end]), dtype=dtype).reshape(entry['shape'])
    return tensors, metadata


def make():
    for seed, (name, definition) in enumerate(VARIANTS.items()):
        torch.manual_seed(seed)
        module = ResNet(definition).eval()
        randomise(module)
        shape = definition['inputShape']
        image = torch.randn(3, shape['channels'], shape['height'], shape['width'])
        with torch.no_grad():
            logits = module(image)
        tensors = {**module.state_dict(), 'test.input': image, 'test.logits': logits}
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f'{name}.safetensors')
        save(path, tensors, dict(definition=json.dumps(definition)))


def check(path):
    tensors, metadata = load(path)
    image = tensors.pop('test.input', None)
    tensors.pop('test.logits', None)
    module = ResNet(json.loads(metadata['definition'])).eval()
    print(module.load_state_dict(tensors, strict=True))
    if image is not None:
        print(module(image).tolist())


if __name__ == '__main__':
    check(sys.argv[2]) if sys.argv[1:2] == ['check'] else make()

"""Writes what PyTorch makes of clipped gradients, mixed targets and averaged weights, together, on a small network.

    /usr/bin/python3 test/golden/recipe/make.py      (Debian 12: apt-get install python3-torch; made with 1.13)

As ../training/make.py, whose network `basic` it takes: float64 from float32 inputs, no ReLU's input near 0. The file:
`initial.*` tensors; `images` (B, N, H, W, C), `labels` and `others` (B, N), `shares` (B, N), what each image keeps of its
first label; over 20 steps on the batches in turn `losses`, `norms` (of all gradients, before clipping) and `correct`
(images whose largest logit is at the label with the larger share); after them `final.*` tensors, `average.*`, their
averages, and `average.logits`, what these make of batch 0 in evaluation. Averages begin as the initial tensors;
after update n, average += (1 - d) * (tensor - average), d = min(decay, (1 + n) / (10 + n)).
"""
import copy
import importlib.util
import itertools
import json
import os

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location('training', os.path.join(HERE, '../training/make.py'))
training = importlib.util.module_from_spec(spec)
spec.loader.exec_module(training)

CASE = training.CASES['basic']
OPTIMIZER = dict(kind='SGD', learningRate=0.01, momentum=0.9, nesterov=True, weightDecay=0.01, clipNorm=1.5)
EMA_DECAY = 0.6


def run(seed):
    d, smoothing = CASE['definition'], CASE['labelSmoothing']
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = training.Net(d).train()
    net.load_state_dict({name: t.float().double() for name, t in net.state_dict().items()})
    side, classes = d['inputShape'], d['numClasses']
    count = (training.BATCHES, training.SIZE)
    images = torch.randn(*count, side['height'], side['width'], side['channels'], generator=generator).float().double()
    labels, others = (torch.randint(0, classes, count, generator=generator) for _ in range(2))
    shares = torch.rand(count, generator=generator).float().double()
    inputs = images.permute(0, 1, 4, 2, 3)
    out = {f'initial.{name}': t for name, t in training.state(net).items()}
    out.update(images=images, labels=labels, others=others, shares=shares)
    averages = training.state(net)
    optimizer, losses, norms, correct = training.make_optimizer(net, OPTIMIZER), [], [], []
    for step in range(training.STEPS):
        x, first, second, share = (t[step % training.BATCHES] for t in (inputs, labels, others, shares))
        optimizer.zero_grad()
        logits = net(x)
        of = lambda target: F.cross_entropy(logits, target, label_smoothing=smoothing, reduction='none')
        loss = (share * of(first) + (1 - share) * of(second)).mean()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(net.parameters(), OPTIMIZER['clipNorm']).detach())
        optimizer.step()
        losses.append(loss.detach())
        correct.append((logits.argmax(1) == torch.where(share >= 0.5, first, second)).sum())
        decay = min(EMA_DECAY, (2 + step) / (11 + step))
        for name, t in training.state(net).items():
            averages[name] += (1 - decay) * (t - averages[name])
    out.update(losses=torch.stack(losses), norms=torch.stack(norms), correct=torch.stack(correct))
    out.update({f'final.{name}': t for name, t in training.state(net).items()})
    out.update({f'average.{name}': t for name, t in averages.items()})
    evaluated = copy.deepcopy(net).eval()
    evaluated.load_state_dict(averages, strict=False)
    out['average.logits'] = evaluated(inputs[0]).detach()
    return out


if __name__ == '__main__':
    torch.set_default_dtype(torch.float64)
    for seed in itertools.count():
        training.closest = float('inf')
        tensors = run(seed)
        clipped = int((tensors['norms'] > OPTIMIZER['clipNorm']).sum())
        if training.closest > training.MARGIN and 4 < clipped < training.STEPS - 4:
            break
    metadata = dict(definition=json.dumps(CASE['definition']), labelSmoothing=str(CASE['labelSmoothing']),
                    optimizers=json.dumps(dict(recipe=OPTIMIZER)), emaDecay=str(EMA_DECAY))
    training.write(os.path.join(HERE, 'recipe.safetensors'), tensors, metadata)
    print(f'seed {seed}, closest {training.closest:.1e}, {clipped} of {training.STEPS} steps clipped', tensors['norms'])

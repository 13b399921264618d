"""Learning rates by PyTorch's own schedulers, one per step: writes schedules.json beside this file.

Run with PyTorch 1.13: python3 schedules.py
"""
import json
import pathlib

import torch
from torch.optim import lr_scheduler


def rates(make, steps, learning_rate):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate, momentum=0.9)
    scheduler = make(optimizer)
    taken = []
    for _ in range(steps):
        taken.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return taken


def with_warmup(optimizer, warmup, then):
    rise = lr_scheduler.LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
    return lr_scheduler.SequentialLR(optimizer, [rise, then], milestones=[warmup])


def case(name, plan, learning_rate, steps_per_epoch, epochs, make):
    steps = steps_per_epoch * epochs
    defaults = {"warmupEpochs": 0, "milestones": [], "gamma": 0.1, "finalLearningRate": 0}
    return {
        "name": name,
        "plan": {**defaults, **plan},
        "learningRate": learning_rate,
        "stepsPerEpoch": steps_per_epoch,
        "totalSteps": steps,
        "rates": rates(make, steps, learning_rate),
    }


cases = [
    case("constant", {"kind": "CONSTANT"}, 0.1, 5, 3, lambda o: lr_scheduler.ConstantLR(o, factor=1)),
    case("step", {"kind": "STEP", "milestones": [2, 3.5], "gamma": 0.2}, 0.1, 4, 6,
         lambda o: lr_scheduler.MultiStepLR(o, [8, 14], gamma=0.2)),
    case("cosine", {"kind": "COSINE"}, 0.1, 7, 4, lambda o: lr_scheduler.CosineAnnealingLR(o, 28)),
    case("cosine to a rate above 0", {"kind": "COSINE", "finalLearningRate": 0.01}, 0.4, 7, 4,
         lambda o: lr_scheduler.CosineAnnealingLR(o, 28, eta_min=0.01)),
    case("constant after warm-up", {"kind": "CONSTANT", "warmupEpochs": 1.5}, 0.1, 4, 3,
         lambda o: with_warmup(o, 6, lr_scheduler.ConstantLR(o, factor=1))),
    case("one cycle", {"kind": "ONE_CYCLE"}, 0.2, 10, 5, lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.2, total_steps=50)),
    case("one cycle, odd length", {"kind": "ONE_CYCLE"}, 0.2, 469, 3, lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.2, total_steps=1407)),
    case("one cycle, longer rise", {"kind": "ONE_CYCLE", "warmupEpochs": 2}, 0.2, 10, 5,
         lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.2, total_steps=50, pct_start=0.4)),
    case("one cycle to a rate of choice", {"kind": "ONE_CYCLE", "finalLearningRate": 0.001}, 0.2, 10, 5,
         lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.2, total_steps=50, final_div_factor=0.2 / 25 / 0.001)),
]
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(cases) + "\n")

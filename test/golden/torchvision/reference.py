"""
torchvision's ResNets, live: reads one request a line on standard input (JSON), answers each with a line.

  {"do": "make", "name": "resnet18", "file": ...}   a network with random weights and running statistics, its images,
      labels and logits, and what SGD's steps make of it, into a safetensors file
  {"do": "load", "name": "resnet18", "file": ...}   loads a file's tensors with load_state_dict(strict=True) and answers
      with the logits of the network's images

Needs PyTorch and torchvision 0.14 or later; safetensors are read and written here, since Debian has no package of it.
"""

import json
import struct
import sys

import torch
import torch.nn.functional as F
import torchvision
from torchvision.models.resnet import BasicBlock, Bottleneck

CLASSES = 10
SIDE = 64
BATCH = 8
STEPS = 5
LEARNING_RATE = 0.003
MOMENTUM = 0.9
TYPES = {torch.float32: "F32", torch.int64: "I64", torch.int32: "I32"}

torch.set_num_threads(2)


def write(path, tensors, metadata):
    header, parts, end = {"__metadata__": metadata}, [], 0
    for name, tensor in tensors.items():
        content = tensor.detach().contiguous().numpy().tobytes()
        header[name] = {
            "dtype": TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [end, end + len(content)],
        }
        end += len(content)
        parts.append(content)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(parts)


def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        content = bytearray(file.read())
    header.pop("__metadata__", None)
    types = {name: dtype for dtype, name in TYPES.items()}
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        flat = torch.frombuffer(memoryview(content)[start:end], dtype=types[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).clone()
    return tensors


def network(name):
    """Random as torchvision initialises it, with norms and running statistics as if trained.

    A channel's values lie two to five deviations above or below zero before its ReLU, so that few are so near it that
    rounding decides which way they go, and the blocks' branches are small: else PyTorch's own float32 and float64 part
    company within five steps of so small a batch (by 5 % of ResNet-50's losses), and nothing could be compared.
    """
    torch.manual_seed(len(name))
    model = torchvision.models.get_model(name, weights=None, num_classes=CLASSES)
    last = {module.bn3 if isinstance(module, Bottleneck) else module.bn2
            for module in model.modules() if isinstance(module, (BasicBlock, Bottleneck))}
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            size = 0.2 if module in last else 1
            module.weight.data.uniform_(0.2 * size, 0.4 * size)
            module.bias.data.uniform_(0.8 * size, 1.2 * size)
            module.bias.data *= torch.randint(2, module.bias.shape) * 2 - 1
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.7, 1.3)
            module.num_batches_tracked.fill_(7)
    return model, torch.randn(BATCH, 3, SIDE, SIDE), torch.randint(CLASSES, (BATCH,))


def evaluate(model, images):
    with torch.no_grad():
        return model.eval()(images)


def make(name, path):
    model, images, labels = network(name)
    result = {f"initial.{key}": value.clone() for key, value in model.state_dict().items()}
    result["logits"] = evaluate(model, images)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, nesterov=True)
    model.train()
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    result["trained.losses"] = torch.stack(losses)
    result["trained.logits"] = evaluate(model, images)
    result["images"], result["labels"] = images.permute(0, 2, 3, 1), labels.int()
    options = {"learningRate": LEARNING_RATE, "momentum": MOMENTUM, "steps": STEPS}
    write(path, result, {"optimizer": json.dumps(options)})
    return {"torchvision": torchvision.__version__}


def load(name, path):
    model, images, _ = network(name)
    model.load_state_dict(read(path), strict=True)
    return {
        "logits": evaluate(model, images).flatten().tolist(),
        "batchesTracked": int(model.bn1.num_batches_tracked),
    }


for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"make": make, "load": load}[request["do"]](request["name"], request["file"])
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)

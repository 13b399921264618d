"""Writes what PyTorch's bilinear interpolation makes of parts of a small image.

    /usr/bin/python3 test/unit/training/resized-crop.py     (Debian 12: apt-get install python3-torch; made with 1.13)

The image is 7 x 5 with 2 channels, value = (31 * y + 17 * x + 101 * channel) mod 256. Each case: the part as
[top, left, height, width] and the result (H, W, C), torchvision's `resized_crop` of a float tensor.
"""
import json
import os

import torch
import torch.nn.functional as F

H, W, C = 7, 5, 2
image = torch.tensor([[[(31 * y + 17 * x + 101 * c) % 256 for x in range(W)] for y in range(H)] for c in range(C)],
                     dtype=torch.float64)
cases = []
for top, left, height, width in [(0, 0, 7, 5), (1, 1, 4, 3), (2, 0, 5, 5), (0, 3, 7, 2), (6, 4, 1, 1), (3, 2, 2, 1)]:
    part = image[None, :, top:top + height, left:left + width]
    result = F.interpolate(part, size=(H, W), mode='bilinear', align_corners=False)[0].permute(1, 2, 0)
    cases.append({'part': [top, left, height, width], 'result': [round(v, 6) for v in result.flatten().tolist()]})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'resized-crop.json'), 'w') as file:
    json.dump(cases, file)

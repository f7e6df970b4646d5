"""The losses of a training run of GPT-2 by PyTorch: AdamW with decay of matrices, clipping by the global norm, given rates.

usage: loss_curve_torch.py FOLDER ROWS LENGTH THREADS f32|bf16
FOLDER has gpt2_124M.bin (weights), tokens.bin (u16, one after another for all steps) and rates.json, one a step. Prints one line
of JSON.
"""

import json
import sys

import numpy
import torch
from gpt2_torch import load
from torch import nn

folder, precision = sys.argv[1], sys.argv[5]
rows, length, threads = map(int, sys.argv[2:5])
torch.set_num_threads(threads)

stream = torch.from_numpy(numpy.fromfile(f"{folder}/tokens.bin", numpy.uint16).astype(numpy.int64))
model = load(f"{folder}/gpt2_124M.bin")
matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
vectors = [parameter for parameter in model.parameters() if parameter.dim() == 1]
groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0}]
optimizer = torch.optim.AdamW(groups, lr=0, betas=(0.9, 0.95), eps=1e-8)
losses, size = [], rows * length
with open(f"{folder}/rates.json") as file:
    rates = json.load(file)
for step, rate in enumerate(rates):
    batch = stream[step * size : (step + 1) * size + 1]
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        loss = model(batch[:-1].view(rows, length), batch[1:].view(rows, length))
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    losses.append(loss.item())
print(json.dumps({"losses": losses, "version": torch.__version__}))

"""Training steps of GPT-2 by PyTorch on a GPU: bf16 by autocast, torch.compile, flash attention, fused AdamW, f32 weights.

usage: train_torch_gpu.py LAYERS WIDTH HEADS VOCABULARY ROWS LENGTH STEPS cuda|cpu
Prints one line of JSON: seconds of each step after those that compile, and the losses of the first and last. On the CPU
nothing is compiled: that is to try the script.
"""

import json
import sys
import time

import torch
from gpt2_torch import Model
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

layers, width, heads, vocabulary, rows, length, steps = map(int, sys.argv[1:8])
device = sys.argv[8]
torch.manual_seed(1)
torch.set_float32_matmul_precision("high")

stream = torch.randint(vocabulary, (rows * length + 1,)).to(device)
ids, targets = stream[:-1].view(rows, length), stream[1:].view(rows, length)
model = Model(length, vocabulary, layers, heads, width)
for parameter in model.parameters():
    if parameter.dim() > 1:
        nn.init.normal_(parameter, std=0.02)
model = model.to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True)
loss_of = torch.compile(model) if device == "cuda" else model
warm_up, seconds, losses = min(5, steps), [], []
backends = [SDPBackend.FLASH_ATTENTION] if device == "cuda" else [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
with sdpa_kernel(backends):
    for step in range(warm_up + steps):
        start = time.perf_counter()
        with torch.autocast(device, torch.bfloat16):
            loss = loss_of(ids, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if device == "cuda":
            torch.cuda.synchronize()
        if step >= warm_up:
            seconds.append(time.perf_counter() - start)
print(json.dumps({"secondsPerStep": seconds, "firstLoss": losses[0], "lastLoss": losses[-1], "version": torch.__version__}))

"""Training steps of GPT-2 by PyTorch on the CPU, from the files that llm.c reads: the same weights, the same batch each step.

usage: train_torch.py FOLDER ROWS LENGTH STEPS THREADS f32|bf16 eager|compile
Prints one line of JSON: the losses, and of the fastest step (the first left out) wall and CPU seconds.
"""

import json
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

folder, precision, mode = sys.argv[1], sys.argv[6], sys.argv[7]
rows, length, steps, threads = map(int, sys.argv[2:6])
torch.set_num_threads(threads)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        rows, length, width = x.shape
        qkv = self.qkv(self.ln_1(x)).view(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(*qkv, is_causal=True)
        x = x + self.projection(y.transpose(1, 2).reshape(rows, length, width))
        return x + self.down(functional.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class Model(nn.Module):
    def __init__(self, context, vocabulary, layers, heads, width):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = functional.linear(self.ln_f(x), self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def load():
    header = numpy.fromfile(f"{folder}/gpt2_124M.bin", numpy.int32, 256)
    context, vocabulary, layers, heads, width, padded = (int(n) for n in header[2:8])
    values = torch.from_numpy(numpy.fromfile(f"{folder}/gpt2_124M.bin", numpy.float32, offset=1024))
    model = Model(context, vocabulary, layers, heads, width)
    at = 0

    def fill(parameter, rows=None):
        nonlocal at
        size = parameter.numel() if rows is None else rows * parameter.shape[1]
        parameter.data.copy_(values[at : at + parameter.numel()].view_as(parameter))
        at += size

    fill(model.tokens.weight, padded)
    fill(model.positions.weight)
    for part in ("ln_1", "qkv", "projection", "ln_2", "up", "down"):
        for kind in ("weight", "bias"):
            for block in model.blocks:
                fill(getattr(getattr(block, part), kind))
    fill(model.ln_f.weight)
    fill(model.ln_f.bias)
    assert at == len(values)
    return model


tokens = numpy.fromfile(f"{folder}/dev/data/tinyshakespeare/tiny_shakespeare_train.bin", numpy.uint16, rows * length + 1, offset=1024)
stream = torch.from_numpy(tokens.astype(numpy.int64))
ids, targets = stream[:-1].view(rows, length), stream[1:].view(rows, length)
model = load()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, fused=True)
loss_of = torch.compile(model) if mode == "compile" else model
losses, wall, cpu = [], float("inf"), float("inf")
for step in range(steps):
    start, cpu_start = time.perf_counter(), time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        loss = loss_of(ids, targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    losses.append(loss.item())
    if step > 0:
        wall, cpu = min(wall, time.perf_counter() - start), min(cpu, time.process_time() - cpu_start)
print(json.dumps({"losses": losses, "seconds": wall, "cpuSeconds": cpu, "version": torch.__version__}))

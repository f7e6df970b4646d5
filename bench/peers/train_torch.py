"""Training steps of GPT-2 by PyTorch on the CPU, from the files that llm.c reads: the same weights, the same batch each step.

usage: train_torch.py FOLDER ROWS LENGTH STEPS THREADS f32|bf16 eager|compile
Prints one line of JSON: the losses, and of the fastest step (the first left out) wall and CPU seconds.
"""

import json
import sys
import time

import numpy
import torch
from gpt2_torch import load

folder, precision, mode = sys.argv[1], sys.argv[6], sys.argv[7]
rows, length, steps, threads = map(int, sys.argv[2:6])
torch.set_num_threads(threads)


tokens = numpy.fromfile(f"{folder}/dev/data/tinyshakespeare/tiny_shakespeare_train.bin", numpy.uint16, rows * length + 1, offset=1024)
stream = torch.from_numpy(tokens.astype(numpy.int64))
ids, targets = stream[:-1].view(rows, length), stream[1:].view(rows, length)
model = load(f"{folder}/gpt2_124M.bin")
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

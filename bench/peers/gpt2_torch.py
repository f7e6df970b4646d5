"""GPT-2 in PyTorch, and its weights from the checkpoint that llm.c reads."""

import torch
from torch import nn
from torch.nn import functional


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


def load(path):
    import numpy  # a machine that only trains does without

    header = numpy.fromfile(path, numpy.int32, 256)
    context, vocabulary, layers, heads, width, padded = (int(n) for n in header[2:8])
    values = torch.from_numpy(numpy.fromfile(path, numpy.float32, offset=1024))
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

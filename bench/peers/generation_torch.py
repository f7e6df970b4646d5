"""Writes greedily with a model of transformers, keys and values kept: what bench/generation-peers.ts sets beside sluice.

usage: generation_torch.py FOLDER PROMPTS THREADS WRITTEN PASSES
FOLDER is a model as transformers saves it, PROMPTS a JSON list of lists of token ids, all of one length. Prints one line of JSON:
the tokens of each text, and seconds of the fastest pass: of reading the prompts and, in the mean, of a step that writes a token of
each text; by the clock and of the processor.
"""

import json
import sys
import time
from pathlib import Path

import torch
import transformers as t

folder, prompts, threads, written, passes = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
torch.set_num_threads(threads)
model = t.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
ids = torch.tensor(json.loads(Path(prompts).read_text()))
times = dict(read=[], step=[], readCpu=[], stepCpu=[])

with torch.inference_mode():
    for _ in range(passes):
        tokens, cache = ids, t.DynamicCache(config=model.config)
        texts, clock, cpu = [], dict(read=0.0, step=0.0), dict(read=0.0, step=0.0)
        for step in range(written):
            start, startCpu = time.perf_counter(), time.process_time()
            logits = model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            tokens = logits[:, -1].argmax(-1, keepdim=True)
            what = "step" if step else "read"
            clock[what] += time.perf_counter() - start
            cpu[what] += time.process_time() - startCpu
            texts.append(tokens)
        times["read"].append(clock["read"])
        times["step"].append(clock["step"] / (written - 1))
        times["readCpu"].append(cpu["read"])
        times["stepCpu"].append(cpu["step"] / (written - 1))

versions = dict(torch=torch.__version__, transformers=t.__version__)
print(json.dumps(dict(tokens=torch.cat(texts, 1).tolist(), versions=versions, seconds={k: min(v) for k, v in times.items()})))

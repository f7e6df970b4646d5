"""Small GGUF files, as llama.cpp's own package writes them. packings.gguf: for each packing a tensor of it, and beside it, as f32,
the values that the package reads from it. llama.gguf: fixtures/models/llama as llama.cpp's converter keeps such a model.
Usage: gguf_fixture.py <folder>; needs gguf, numpy and safetensors."""

import json
import sys
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type, GGUFWriter, MODEL_ARCH, get_tensor_name_map, quants
from safetensors import safe_open

generator = np.random.default_rng(5)
path = Path(sys.argv[1]) / "packings.gguf"
writer = GGUFWriter(path, "llama")
writer.add_string("text", "Grüße")
writer.add_array("list", [1, -2, 3])
writer.add_float32("float", 0.25)
writer.add_uint64("long", 2**40)
writer.add_int64("negative", -5)
writer.add_bool("yes", True)
# where f16 scales lie within a block: random bytes would make infinities of them
SCALES = {Type.F16: [0], Type.BF16: [], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q8_0: [0], Type.Q4_K: [0, 2], Type.Q6_K: [208]}
for kind, places in SCALES.items():
    values, size = GGML_QUANT_SIZES[kind]
    columns = max(values, 32)
    blocks = generator.integers(0, 256, (3 * columns // values, size), dtype=np.uint8)
    for place in places:
        scales = generator.normal(0, 1, len(blocks)).astype(np.float16)
        blocks[:, place : place + 2] = scales.view(np.uint8).reshape(-1, 2)
    if kind == Type.BF16:
        blocks[:, 1] = 63
    data = blocks.reshape(3, -1)
    writer.add_tensor(kind.name, data, raw_dtype=kind)
    writer.add_tensor(f"{kind.name} as f32", quants.dequantize(data, kind).astype(np.float32).reshape(3, columns))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

MODEL = Path(__file__).parents[2] / "fixtures/models/llama"
config = json.loads((MODEL / "config.json").read_text())
names = get_tensor_name_map(MODEL_ARCH.LLAMA, config["num_hidden_layers"])
writer = GGUFWriter(Path(sys.argv[1]) / "llama.gguf", "llama")
writer.add_block_count(config["num_hidden_layers"])
writer.add_context_length(config["max_position_embeddings"])
writer.add_embedding_length(config["hidden_size"])
writer.add_feed_forward_length(config["intermediate_size"])
writer.add_head_count(config["num_attention_heads"])
writer.add_head_count_kv(config["num_key_value_heads"])
writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
with safe_open(MODEL / "model.safetensors", "np") as weights:
    for name in weights.keys():
        values = weights.get_tensor(name)
        heads = {"q": config["num_attention_heads"], "k": config["num_key_value_heads"]}
        for part, count in heads.items():
            if name.endswith(f"{part}_proj.weight"):
                # the pairs of llama.cpp's rotation lie side by side
                values = values.reshape(count, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        writer.add_tensor(names.get_name(name, (".weight",)), np.ascontiguousarray(values))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

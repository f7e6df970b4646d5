"""A small GGUF file, as llama.cpp's own package writes it: for each packing a tensor of it, and beside it, as f32, the values that
the package reads from it. Usage: gguf_fixture.py <folder>; needs gguf and numpy."""

import sys
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type, GGUFWriter, quants

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

"""A GGUF file with all tensors as f32, so that llama.cpp has the weights that transformers and sluice read from the packed one.

usage: gguf_floats.py FROM TO
"""

import sys

from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, quants

reader = GGUFReader(sys.argv[1])
architecture = reader.fields["general.architecture"].contents()
writer = GGUFWriter(sys.argv[2], architecture)
for name, field in reader.fields.items():
    if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
        continue
    kind, *items = field.types
    writer.add_key_value(name, field.contents(), kind, items[-1] if kind == GGUFValueType.ARRAY else None)
writer.add_file_type(0)
for tensor in reader.tensors:
    values = quants.dequantize(tensor.data, tensor.tensor_type)
    writer.add_tensor(tensor.name, values, raw_dtype=GGMLQuantizationType.F32)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

"""Makes core/src/test/resources/checkpoint/gguf-blocks.safetensors: blocks of GGUF's quantized types.

T.blocks are random bytes with finite scales, T.values what the gguf package decodes them to. `in` are rows of values, T.encoded what
the gguf package makes of them. For types that it only decodes, T.peer is the mean squared error that ggml's own quantizer leaves
(ggml_quantize_chunk without an importance matrix, of the libggml-base in llama-cpp-python).

Versions: gguf 0.19.0, numpy 2.4.6, safetensors 0.8.0, llama-cpp-python 0.3.36 (with its lib folder on LD_LIBRARY_PATH). Seed 17.
  python make_gguf_blocks.py PATH/TO/libggml-base.so
"""
import ctypes, os, sys
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

ENCODED = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]
FITTED = ["Q4_K", "Q5_K", "Q6_K", "IQ4_NL"]
DECODED = ENCODED + FITTED + ["Q2_K", "Q3_K", "IQ4_XS"]
# where fp16 scales stand in a block
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
          "IQ4_NL": [0], "Q2_K": [80, 82], "Q3_K": [108], "IQ4_XS": [0]}

rng = np.random.default_rng(17)
out = {}
for name in DECODED:
    elements, size = GGML_QUANT_SIZES[T[name]]
    blocks = rng.integers(0, 256, (4, size), dtype=np.uint8)
    for at in SCALES[name]:
        blocks[:, at : at + 2] = (rng.standard_normal((4, 1)) * 0.05).astype(np.float16).view(np.uint8)
    out[name + ".blocks"] = blocks.reshape(-1)
    out[name + ".values"] = np.ascontiguousarray(dequantize(blocks, T[name]).reshape(-1), dtype=np.float32)

rows = [rng.standard_normal(256) * 0.02, rng.standard_normal(256) * np.exp(rng.standard_normal(256)), np.zeros(256),
        np.full(256, 0.7), rng.uniform(-1, 1, 256), np.linspace(-3, 5, 256), np.where(rng.random(256) < 0.03, 4.0, 0.01) * rng.standard_normal(256),
        np.abs(rng.standard_normal(256)), np.repeat(np.arange(8) - 3.5, 32)]
values = np.stack(rows).astype(np.float32)
out["in"] = values
for name in ENCODED:
    out[name + ".encoded"] = np.ascontiguousarray(quantize(values, T[name])).reshape(-1)

ggml = ctypes.CDLL(sys.argv[1])
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
for name in FITTED:
    elements, size = GGML_QUANT_SIZES[T[name]]
    packed = np.zeros(values.size // elements * size, dtype=np.uint8)
    ggml.ggml_quantize_chunk(int(T[name]), values.ctypes.data, packed.ctypes.data, 0, len(rows), 256, None)
    decoded = dequantize(packed.reshape(len(rows), -1), T[name])
    out[name + ".peer"] = ((decoded.astype(np.float64) - values) ** 2).mean(axis=1).astype(np.float32)
    print(name, out[name + ".peer"])
save_file(out, os.path.join(os.path.dirname(__file__), "../resources/checkpoint/gguf-blocks.safetensors"))

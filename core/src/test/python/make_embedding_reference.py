#!/usr/bin/env python3
"""Means of last hidden states of the tiny model, alone and with its adapter, as transformers and PEFT compute them in f32.

    python make_embedding_reference.py    writes ../resources/org/qlora4j/generate/embeddings.json
With torch 2.10.0, transformers 5.23.0; PEFT 0.21.2 where it is installed.
"""
import json
from pathlib import Path

import torch
import transformers

resources = Path(__file__).resolve().parent.parent / "resources"
tiny = resources / "tiny-llama"
prompts = [[5], list(range(3, 20)), [7, 7, 30, 2, 41, 9, 11, 60, 3, 25, 17, 8, 33, 21, 4, 12, 50, 13, 6, 29, 10, 44, 31, 5, 90, 18, 77, 64, 22, 19, 15, 14, 61, 16, 35, 26, 24, 70, 28, 27]]


def means(model):
    out = []
    for ids in prompts:
        with torch.no_grad():
            hidden = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[-1]
        out.append([round(x, 7) for x in hidden[0].mean(0).tolist()])
    return out


model = transformers.AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
result = {"made_with": {"torch": torch.__version__, "transformers": transformers.__version__}, "prompts": prompts, "base": means(model)}
try:
    import peft

    adapted = peft.PeftModel.from_pretrained(model, tiny / "adapter")
    result["adapter"] = means(adapted)
    result["made_with"]["peft"] = peft.__version__
except ImportError:
    pass
(resources / "org/qlora4j/generate/embeddings.json").write_text(json.dumps(result) + "\n")

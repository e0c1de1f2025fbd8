"""Beam search of transformers on the tiny model of the tests, with ends of text that come often.

usage: make_beam_reference.py RESOURCES     e.g. core/src/test/resources; writes org/qlora4j/generate/{beams,beam_texts}.json
made with torch 2.10.0, transformers 5.23.0; nothing random
"""
import gzip
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

resources = Path(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(resources / "tiny-llama", dtype=torch.float32)
model.generation_config.pad_token_id = 0
cases = []
for eos in ([2], [2, 7, 11, 30, 31, 32, 40, 41, 77, 90, 101, 120, 133, 150]):
    for beams, penalty, early, most, least in [
        (2, 1.0, False, 10, 0), (3, 1.0, True, 10, 0), (4, 1.0, "never", 12, 0), (3, 0.0, False, 10, 0), (4, 2.0, False, 14, 0),
        (3, 2.0, "never", 14, 0), (3, -1.0, False, 10, 0), (2, -0.5, "never", 10, 2), (5, 1.0, True, 8, 3), (1, 1.0, False, 9, 0),
    ]:
        for prompt in ([1, 5, 9, 33], [1, 100, 17]):
            out = model.generate(
                torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), num_beams=beams,
                num_return_sequences=beams, length_penalty=penalty, early_stopping=early, max_new_tokens=most, min_new_tokens=least,
                eos_token_id=eos, do_sample=False, return_dict_in_generate=True, output_scores=True)
            texts = []
            for row in out.sequences[:, len(prompt):].tolist():
                end = next((i + 1 for i, t in enumerate(row) if t in eos), len(row))
                texts.append(row[:end])
            scores = [float(f"{s:.9g}") for s in out.sequences_scores] if beams > 1 else []
            cases.append({"eos": eos, "num_beams": beams, "length_penalty": penalty, "early_stopping": str(early).upper(),
                          "max_new_tokens": most, "min_new_tokens": least, "prompt": prompt, "texts": texts, "scores": scores})
target = resources / "org/qlora4j/generate/beams.json.gz"
target.write_bytes(gzip.compress(("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n").encode(), 9, mtime=0))
print(len(cases), "cases,", sum(len(t) < c["max_new_tokens"] for c in cases for t in c["texts"]), "texts that end early")

tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(resources / "tiny-llama/tokenizer.json"))
prompt = json.loads((resources / "tiny-llama/expected.json").read_text())["raw"][0]
ids = prompt["ids"]
assert tokenizer(prompt["prompt"], add_special_tokens=False).input_ids == ids[-len(tokenizer(prompt["prompt"], add_special_tokens=False).input_ids):]
texts = []
for settings in ({"num_beams": 3}, {"num_beams": 4, "length_penalty": -2.0, "early_stopping": True}, {"num_beams": 4, "length_penalty": 3.0, "early_stopping": "never"}):
    out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), max_new_tokens=12, eos_token_id=2, do_sample=False, **settings)
    texts.append({"prompt": prompt["prompt"], **settings, "text": tokenizer.decode(out[0, len(ids):], skip_special_tokens=True)})
(resources / "org/qlora4j/generate/beam_texts.json").write_text("[\n" + ",\n".join(json.dumps(t) for t in texts) + "\n]\n")
print(*texts, sep="\n")

"""Makes core/src/test/resources/org/qlora4j/generate/sampling.json.gz: what transformers' logits processors leave of random logits, with
which probabilities, in its own order; and greedy texts of tiny-llama under rules that depend on the text so far.

usage: make_sampling_references.py RESOURCES      e.g. core/src/test/resources, which holds tiny-llama
made with torch 2.10.0, transformers 5.23.0, seed 11
"""
import gzip, json, sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

resources = Path(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(resources / "tiny-llama", dtype=torch.float32)
torch.manual_seed(11)
EOS = 2


def config(settings):
    return GenerationConfig(eos_token_id=EOS, pad_token_id=0, **settings)


def case(size, prompt, tokens, scale=3.0, **settings):
    logits = (torch.randn(1, size) * scale).round(decimals=3)
    sequence_bias = settings.pop("logit_bias", None)
    gc = config({"do_sample": True, "top_k": 0, **settings,
                 **({"sequence_bias": {(i,): b for i, b in sequence_bias.items()}} if sequence_bias else {})})
    ids = torch.tensor([prompt + tokens])
    model._prepare_special_tokens(gc, False, device="cpu")
    processors = model._get_logits_processor(generation_config=gc, input_ids_seq_length=len(prompt), device="cpu")
    left = processors(ids, logits.clone()).double()
    p = left.softmax(-1)[0]
    kept = torch.nonzero(left[0] > -float("inf"))[:, 0].tolist()
    if sequence_bias:
        settings["logit_bias"] = sequence_bias
    return {"settings": settings, "prompt": prompt, "tokens": tokens, "logits": [round(x, 3) for x in logits[0].tolist()],
            "kept": kept, "probabilities": [round(x, 9) for x in p[kept].tolist()]}


text = ([5, 9, 7, 9, 3], [11, 5, 9])
cases = [
    case(40, *text, top_k=1), case(40, *text, top_k=7), case(40, *text, top_k=39), case(40, *text, top_k=400),
    case(40, *text, scale=0.4, top_k=12),
    case(40, *text, min_p=0.1), case(40, *text, min_p=1.0), case(40, *text, temperature=2.0, min_p=0.03),
    case(40, *text, typical_p=0.2), case(40, *text, typical_p=0.9), case(40, *text, temperature=1.7, typical_p=0.6),
    case(40, *text, temperature=0.8, top_k=20, top_p=0.9, min_p=0.02, typical_p=0.95),
    case(40, *text, temperature=1.5, top_k=12, top_p=0.7),
    case(40, *text, repetition_penalty=1.3), case(40, *text, repetition_penalty=0.7, top_p=0.8),
    case(40, *text, no_repeat_ngram_size=1), case(40, *text, no_repeat_ngram_size=2), case(40, *text, no_repeat_ngram_size=3),
    case(40, [5, 9], [5, 9, 5], no_repeat_ngram_size=3), case(40, [5], [9], no_repeat_ngram_size=3),
    case(40, *text, bad_words_ids=[[4], [9, 6], [5, 9, 8], [1, 9, 10], [EOS]]),
    case(40, [9], [], bad_words_ids=[[9, 6], [5, 9, 8]]),
    case(40, *text, logit_bias={3: 5.5, 7: -100.0, 39: 2.25}, repetition_penalty=1.2),
    case(40, *text, min_new_tokens=3), case(40, *text, min_new_tokens=4), case(40, [5], [], min_new_tokens=1, top_k=3),
    case(40, *text, repetition_penalty=1.2, no_repeat_ngram_size=2, bad_words_ids=[[9, 6]], temperature=0.7, top_k=10, top_p=0.9),
]

texts = []
for prompt in [[1, 40, 41, 42, 40, 41], [1, 100, 7, 100]]:
    for settings in [{}, {"repetition_penalty": 1.4}, {"no_repeat_ngram_size": 2}, {"repetition_penalty": 0.8, "no_repeat_ngram_size": 3},
                     {"bad_words_ids": [[20], [31, 5]], "no_repeat_ngram_size": 1}]:
        gc = config({"do_sample": False, "max_new_tokens": 30, "min_new_tokens": 30, **settings})
        out = model.generate(torch.tensor([prompt]), generation_config=gc)
        texts.append({"settings": settings, "prompt": prompt, "tokens": out[0, len(prompt):].tolist()})

target = resources / "org/qlora4j/generate/sampling.json.gz"
target.write_bytes(gzip.compress(("{\"cases\":[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "],\n\"texts\":[\n" + ",\n".join(json.dumps(t, separators=(",", ":")) for t in texts) + "]}\n").encode(), 9, mtime=0))

"""Makes src/test/resources/org/qlora4j/train/full-run.json: ten steps in which transformers and torch train all weights of
tiny-llama, once with a head of its own and once with tied embeddings: loss and gradient norm of each step, and sums of weights
afterwards. Decay applies to the weights that the Hugging Face trainer decays. All records stand in one batch, in f32.

usage: make_full_run.py RESOURCES      e.g. core/src/test/resources
Made with torch 2.10.0, transformers 5.23.0; nothing is drawn, so there is no seed.
"""
import json, sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

resources = Path(sys.argv[1])
base = resources / "tiny-llama"
tokenizer = AutoTokenizer.from_pretrained(base)
records = [{"input": "say " + "abc" * (i % 3) + ": ", "output": "xy the " * (1 + i * 5 % 4)} for i in range(6)]
LR, DECAY, STEPS, MAX_NORM = 3e-3, 0.1, 10, 0.5

rows = []
for r in records:
    source = tokenizer("<s>" + r["input"], add_special_tokens=False).input_ids  # as qlora.py: bos + source, target + eos
    target = tokenizer(r["output"] + "</s>", add_special_tokens=False).input_ids
    rows.append((source + target, [-100] * len(source) + target))
longest = max(len(ids) for ids, _ in rows)
ids = torch.tensor([i + [0] * (longest - len(i)) for i, _ in rows])
labels = torch.tensor([l + [-100] * (longest - len(l)) for _, l in rows])
mask = torch.tensor([[1] * len(i) + [0] * (longest - len(i)) for i, _ in rows])

runs = {}
for name, tied in (("untied", False), ("tied", True)):
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    decayed = Trainer(model, TrainingArguments("unused", report_to=[])).get_decay_parameter_names(model)
    named = dict(model.named_parameters())
    optimizer = torch.optim.AdamW(
        [{"params": [p for n, p in named.items() if n in decayed], "weight_decay": DECAY},
         {"params": [p for n, p in named.items() if n not in decayed], "weight_decay": 0.0}], lr=LR)
    losses, norms = [], []
    for _ in range(STEPS):
        logits = model(input_ids=ids, attention_mask=mask).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, logits.size(-1)), labels[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM).item())
        losses.append(loss.item())
        optimizer.step()
    runs[name] = {"losses": losses, "norms": norms, "not_decayed": sorted(n for n in named if n not in decayed),
                  "squares": {n: p.detach().double().square().sum().item() for n, p in named.items()}}
out = {"records": records, "tokens": [i for i, _ in rows], "learning_rate": LR, "weight_decay": DECAY, "max_grad_norm": MAX_NORM, "runs": runs}
(resources / "org/qlora4j/train/full-run.json").write_text(json.dumps(out) + "\n")

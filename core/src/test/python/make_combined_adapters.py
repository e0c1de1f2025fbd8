"""Writes core/src/test/resources/org/qlora4j/export/combined.json: logits behind the last token of the golden base with two of its adapters made
one by PEFT's add_weighted_adapter, in each way that `qlora merge --combine` knows.

Versions: torch 2.10.0, transformers 5.23.0, peft 0.21.2. No seed: nothing is drawn.
  python make_combined_adapters.py GOLDEN/adapters OUT.json
"""
import json, os, sys
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

golden, out = sys.argv[1:3]
IDS = [1, 40, 7, 99, 12, 30, 33, 8]
CASES = [
    ("cat", ["lora", "rslora", "layers"], [0.75, -0.5, 1.25], None), ("cat", ["lora"], [0.5], None),
    ("linear", ["lora", "rslora"], [0.75, 0.5], None), ("linear", ["lora", "rslora"], [0.75, -0.5], None),
    ("ties", ["lora", "rslora"], [0.75, 0.5], 0.3), ("ties", ["lora", "rslora"], [1.0, 1.0], 1.0),
    ("magnitude_prune", ["lora", "rslora"], [0.75, 0.5], 0.6),
]
cases = []
for how, names, weights, density in CASES:
    base = AutoModelForCausalLM.from_pretrained(os.path.join(golden, "base"), dtype=torch.float32)
    model = PeftModel.from_pretrained(base, os.path.join(golden, names[0]), adapter_name=names[0])
    for name in names[1:]:
        model.load_adapter(os.path.join(golden, name), adapter_name=name)
    if how == "cat" and len(names) == 1:
        model.add_weighted_adapter(names, weights, "mixed", combination_type="linear")  # of one adapter it is the same
    else:
        model.add_weighted_adapter(names, weights, "mixed", combination_type=how, density=density)
    model.set_adapter("mixed")
    with torch.no_grad():
        logits = model.eval()(torch.tensor([IDS])).logits[0, -1]
    cases.append({"combine": how, "adapters": names, "weights": weights, "density": density, "logits": [float("%.7g" % x) for x in logits]})
with open(out, "w") as file:
    file.write('{"ids":%s,\n"cases":[\n' % json.dumps(IDS) + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]}\n")

"""How likely "the cat sat on a mat" is with the adapters of the shared cases, as PEFT computes it, which SharedCasesTest (app) holds.

usage: check_cases.py CASES/model        CASES: the folder of cases
Made with torch 2.10.0, transformers 5.23.0, PEFT 0.21.2. No seed: nothing is drawn.
"""
import json, math, sys, warnings
from pathlib import Path
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
warnings.filterwarnings("ignore")
root = Path(sys.argv[1])
tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(root / "base/tokenizer.json"))
config = json.loads((root / "base/config.json").read_text())
def score(model):
    ids = tokenizer("the cat sat on a mat", add_special_tokens=True)["input_ids"]
    ids = torch.tensor([ids])
    with torch.no_grad():
        logits = model(ids).logits[0].float()
    return ids[0].tolist()[:4], torch.log_softmax(logits[:-1], -1).gather(1, ids[0, 1:, None]).sum().item()
def base(): return AutoModelForCausalLM.from_pretrained(root / "base", dtype=torch.float32)
print("base", score(base()))
for name in ["04-adapter-resized-vocab/resized", "04-adapter-resized-vocab/same-size", "05-adapter-init-only-fields/eva", "05-adapter-init-only-fields/layers_pattern", "05-adapter-init-only-fields/loftq_config_unused", "12-unused-or-missing-unsaid/adapter-half"]:
    model = base()
    if name.endswith("/resized"): model.resize_token_embeddings(164)
    print(name, score(PeftModel.from_pretrained(model, root / name)))

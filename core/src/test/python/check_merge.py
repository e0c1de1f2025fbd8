"""Judges folders that `qlora merge --into original` wrote: transformers must load each without a warning, and give within 1e-4 the
logits that PEFT gives with the adapter on the base, in f32.

Versions: torch 2.10.0, transformers 5.23.0, peft 0.21.2. Not part of any build.
  python check_merge.py BASE_FOLDER ADAPTER_FOLDER MERGED_FOLDER
"""
import logging, sys, warnings
import torch
import transformers
from peft import PeftModel
from transformers import AutoModelForCausalLM

base, adapter, merged = sys.argv[1:4]
said = []


class Keep(logging.Handler):
    def emit(self, record):
        if record.levelno >= logging.WARNING:
            said.append(record.getMessage())


transformers.utils.logging.get_logger("transformers").addHandler(Keep())
ids = torch.randint(3, 32, (2, 12), generator=torch.Generator().manual_seed(5))
peft = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter).eval()
with torch.no_grad():
    expected = peft(ids).logits
said.clear()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32).eval()
with torch.no_grad():
    difference = (model(ids).logits - expected).abs().max().item()
complaints = said + [str(w.message) for w in caught]
print("%-40s largest difference %.2e, %d warnings %s" % (merged, difference, len(complaints), complaints[:2]))
sys.exit(difference > 1e-4 or bool(complaints))

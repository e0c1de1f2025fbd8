"""A PEFT adapter on the head of the golden GPT-NeoX, which transformers 5 calls lm_head, with the logits it gives.

usage: make_neox_head_adapter.py GOLDEN RESOURCES     e.g. shared/data/golden core/src/test/resources
writes RESOURCES/org/qlora4j/family/adapters/gpt-neox-head/{adapter_config.json, adapter_model.safetensors, expected.safetensors}
made with torch 2.10.0, transformers 5.23.0, peft 0.21.2, seed 5; logits of the last two positions [2, vocabulary]
"""
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

golden, resources = Path(sys.argv[1]), Path(sys.argv[2])
ids = torch.tensor([[1, 20, 21, 22, 30, 7, 40, 2, 90, 91, 3, 4]])

if __name__ == "__main__":
    torch.manual_seed(5)
    base = AutoModelForCausalLM.from_pretrained(golden / "families/gpt-neox", dtype=torch.float32, attn_implementation="eager")
    config = LoraConfig(r=2, lora_alpha=4, target_modules=["lm_head"], alpha_pattern={"lm_head": 6}, task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(0, 0.3)
    model.eval()
    with torch.no_grad():
        logits = model(ids).logits[0, -2:]
        with model.disable_adapter():
            plain = model(ids).logits[0, -2:]
    out = resources / "org/qlora4j/family/adapters/gpt-neox-head"
    model.peft_config["default"].base_model_name_or_path = "gpt-neox"
    model.save_pretrained(out, save_embedding_layers=False)
    (out / "README.md").unlink(missing_ok=True)
    save_file({"ids": ids, "logits": logits.contiguous()}, out / "expected.safetensors")
    print("logits move by", (logits - plain).abs().max().item())

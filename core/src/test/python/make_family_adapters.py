"""A PEFT adapter on all linears of the golden model of each family, with the logits it gives.

usage: make_family_adapters.py GOLDEN RESOURCES [FAMILY ...]     e.g. shared/data/golden core/src/test/resources
writes RESOURCES/org/qlora4j/family/adapters/FAMILY/{adapter_config.json, adapter_model.safetensors, expected.safetensors}
made with torch 2.10.0, transformers 5.23.0, peft 0.21.2, seed 5
T5 reads ids and writes behind the start and the same ids; logits [positions, vocabulary], of RoBERTa [classes].
"""
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

golden, resources = Path(sys.argv[1]), Path(sys.argv[2])
families = sys.argv[3:] or [
    "gemma", "gemma2", "gemma3", "mistral-sliding", "phi3", "qwen2", "qwen3", "gpt-neox", "gpt2", "opt", "t5", "flan-t5", "roberta-classifier"]
ids = torch.tensor([[1, 20, 21, 22, 30, 7, 40, 2, 90, 91, 3, 4]])


def kind(family):
    if "t5" in family:
        return AutoModelForSeq2SeqLM, "SEQ_2_SEQ_LM"
    if family.startswith("roberta"):
        return AutoModelForSequenceClassification, "SEQ_CLS"
    return AutoModelForCausalLM, "CAUSAL_LM"


def ids_of(family):
    """The text; RoBERTa counts no place for its padding, 1."""
    return torch.where(ids == 1, 0, ids) if family.startswith("roberta") else ids


def logits_of(model, family):
    if "t5" in family:
        before = torch.cat([torch.zeros(1, 1, dtype=torch.long), ids[:, :-1]], 1)
        return model(input_ids=ids, decoder_input_ids=before).logits
    return model(ids_of(family)).logits


if __name__ == "__main__":
    for family in families:
        torch.manual_seed(5)
        auto, task = kind(family)
        base = auto.from_pretrained(golden / "families" / family, dtype=torch.float32, attn_implementation="eager")
        targets = ["query", "key", "value", "dense"] if task == "SEQ_CLS" else "all-linear"
        left = "classifier.*" if task == "SEQ_CLS" else None  # which PEFT saves whole
        rank = 2 if task == "CAUSAL_LM" else 1  # which have more linears, or a head besides
        model = get_peft_model(base, LoraConfig(r=rank, lora_alpha=4, target_modules=targets, exclude_modules=left, task_type=task))
        with torch.no_grad():
            for name, p in model.named_parameters():
                if "lora_B" in name:
                    p.normal_(0, 0.3)
        model.eval()
        with torch.no_grad():
            logits, plain = logits_of(model, family), None
            with model.disable_adapter():
                plain = logits_of(model, family)
        out = resources / "org/qlora4j/family/adapters" / family
        model.peft_config["default"].base_model_name_or_path = family
        model.save_pretrained(out)
        (out / "README.md").unlink(missing_ok=True)
        save_file({"ids": ids_of(family), "logits": logits[0].contiguous()}, out / "expected.safetensors")
        print(family, "logits move by", (logits - plain).abs().max().item(), "files", [f.name for f in sorted(out.iterdir())])

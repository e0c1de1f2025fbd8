"""Adapters of every family between PEFT and qlora, both ways, on the golden models: logits in f32 must differ by at most 1e-4 of the largest.

To PEFT: two steps of `qlora train` on the base in 4 bits with LoRA on all linears, with DoRA, and with tables and norms trained whole; PEFT opens
each run's checkpoint. From PEFT: the same three kinds, made and saved by PEFT with random factors. An adapter must move the logits by 1e-3.

Versions: torch 2.10.0, transformers 5.23.0, peft 0.21.2, safetensors 0.8; seed 5. Not part of any build; about ten minutes on two cores.
JAVA is a command with the flags of `qlora` and a class path of core's classes, its tests' and app's.
  python check_family_adapters.py GOLDEN core/src/test/resources EMPTY_FOLDER JAVA...
"""
import json, logging, shutil, subprocess, sys, warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from make_family_adapters import ids_of, kind, logits_of

goldens, resources, folder, java = Path(sys.argv[1]) / "families", Path(sys.argv[2]), Path(sys.argv[3]).absolute(), sys.argv[4:]
TABLES = {"gpt2": ["wte", "ln_f"], "gpt_neox": ["embed_in", "lm_head", "final_layer_norm"], "opt": ["embed_tokens", "final_layer_norm"],
          "t5": ["final_layer_norm"], "roberta": []}
OWN_HEAD = ["embed_tokens", "lm_head", "norm"]
warnings.simplefilter("ignore")
logging.disable(logging.WARNING)


def saved_of(config):
    """What learns whole: tables, and the norms of this name."""
    tied = config.get("tie_word_embeddings", True)
    return TABLES.get(config["model_type"], ["embed_tokens", "norm"] if tied else OWN_HEAD)


def base_of(family, auto):
    torch.manual_seed(5)
    return auto.from_pretrained(goldens / family, dtype=torch.float32, attn_implementation="eager").eval()


def run(*words):
    done = subprocess.run(java + list(words), text=True, capture_output=True)
    if done.returncode:
        sys.exit("%s\n%s" % (" ".join(words)[:500], done.stderr[-2000:]))


def trained(source, family, case, out):
    """A run folder of our own."""
    data = source / "data.jsonl"
    record = {"text": "abc de", "label": 1} if family.startswith("roberta") else {"input": "abc de", "output": "fghi"}
    data.write_text("".join(json.dumps(record) + "\n" for _ in range(4)))
    words = ["lora.r=4", "lora.lora_alpha=16", "train.learning_rate=0.05", "train.lr_scheduler_type=constant", "train.per_device_train_batch_size=2",
             "train.gradient_accumulation_steps=1"]
    run("org.qlora4j.app.Main", "train", "--model", str(source), "--data", str(data), "--out", str(out), "--steps", "2", *words, *case)


def made(family, auto, task, case, out):
    """An adapter of PEFT's."""
    targets, left = ("all-linear", None) if task != "SEQ_CLS" else (["query", "key", "value", "dense"], "classifier.*")
    model = get_peft_model(base_of(family, auto), LoraConfig(
        r=4, lora_alpha=16, target_modules=targets, exclude_modules=left, task_type=task, **case))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(0, 0.1)
            elif "modules_to_save" in name or "magnitude" in name:
                p.mul_(1 + 0.1 * torch.randn_like(p))
    model.save_pretrained(out)


cases = []
for source in sorted(goldens.iterdir()):
    family = source.name
    auto, task = kind(family)
    config = json.loads((source / "config.json").read_text())
    copy = folder / "models" / family
    shutil.copytree(source, copy)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(resources / "tiny-llama" / name, copy / name)
    saved = saved_of(config)
    tied = config.get("tie_word_embeddings", True) and len(saved) > 1 and config["model_type"] != "t5"
    kinds = {"lora": ([], {}), "dora": (["lora.use_dora=true"], {"use_dora": True})}
    if saved:
        words = ["lora.modules_to_save=[%s]" % ",".join(saved)]
        theirs = [name for name in saved if name != "wte"]  # which PEFT would train apart from the head
        kinds["whole"] = (words, {"modules_to_save": theirs, "ensure_weight_tying": tied and theirs == saved})
    for name, (words, options) in kinds.items():
        ours, theirs = folder / "ours" / family / name, folder / "theirs" / family / name
        trained(copy, family, words, ours)
        made(family, auto, task, options, theirs)
        cases += [("to PEFT", family, name, copy, ours), ("from PEFT", family, name, copy, theirs)]
        print("made", family, name, flush=True)

words = []
for i, case in enumerate(cases):
    text = folder / (case[1] + "-ids.safetensors")
    save_file({"ids": ids_of(case[1])}, text)
    words += [str(text), str(case[3]), str(case[4]), str(folder / ("%d.safetensors" % i))]
run("org.qlora4j.family.AdapterLogits", *words)

failed, table = False, {}
for i, (way, family, name, copy, adapter) in enumerate(cases):
    files = next(iter(adapter.glob("checkpoint-*")), adapter)
    auto, task = kind(family)
    with torch.no_grad():
        model = PeftModel.from_pretrained(base_of(family, auto), files).eval()
        expected = logits_of(model, family)
        plain = logits_of(base_of(family, auto), family)
    largest = expected.abs().max().item()
    actual = load_file(folder / ("%d.safetensors" % i))["logits"].view(expected.shape)
    far, moved = (actual - expected).abs().max().item() / largest, (expected - plain).abs().max().item() / largest
    bad = far > 1e-4 or moved < 1e-3
    failed |= bad
    table.setdefault(family, []).append("%s %s %.0e%s" % (way, name, far, " FAILED (moved by %.0e)" % moved if bad else ""))
for family, cells in table.items():
    print("%-18s %s" % (family, "; ".join(cells)))
print("%d adapters of %d families%s" % (len(cases), len(table), ", FAILED" if failed else ""))
sys.exit(failed)

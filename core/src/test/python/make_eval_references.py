"""Makes src/test/resources/org/qlora4j/train/eval-references.json: what transformers answers about evaluation.

usage: make_eval_references.py TINY_LLAMA_FOLDER OUT.json
Made with torch 2.10.0, transformers 5.23.0; nothing is random.
"""
import json, sys
from pathlib import Path
import torch
from transformers import (AutoModelForCausalLM, AutoTokenizer, EarlyStoppingCallback, TrainerControl, TrainerState,
                          TrainingArguments)

folder, out = sys.argv[1], Path(sys.argv[2])

# 1. the summed loss of records as TinyRun.data writes them, each alone, on the tiny model in f32
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
records = []
for i in range(24):
    source = tokenizer.encode("say " + "abc" * (i % 5) + ": ", add_special_tokens=False)
    target = tokenizer.encode("xy" * (1 + i * 7 % 11), add_special_tokens=False) + [tokenizer.eos_token_id]
    if tokenizer.encode("a")[0] == tokenizer.bos_token_id:
        source = [tokenizer.bos_token_id] + source
    ids = torch.tensor([source + target])
    with torch.no_grad():
        logits = model(ids).logits[0]
    place = torch.arange(len(source), ids.shape[1])
    loss = torch.nn.functional.cross_entropy(logits[place - 1].double(), ids[0, place], reduction="sum")
    records.append({"line": i + 1, "labels": len(target), "loss": loss.item()})

# 2. best value, its step and the patience used up, after each of some evaluations
cases = []
for patience, threshold, values in (
        (2, 0.0, [3.0, 2.5, 2.6, 2.4, 2.4, 2.4, 2.3]),
        (3, 0.1, [3.0, 2.95, 2.9, 2.85, 2.0, 1.95, 1.91, 1.8999]),
        (1, 0.0, [1.0, 1.0]),
        (1, 0.5, [4.0, 3.6, 3.0]),
        (2, 0.0, [5.0, 4.0, 3.0, 2.0])):
    args = TrainingArguments("unused", metric_for_best_model="eval_loss", greater_is_better=False,
                             load_best_model_at_end=True, eval_strategy="steps", eval_steps=1, save_steps=1, report_to="none")
    callback = EarlyStoppingCallback(patience, threshold)
    state, control, after, stopped = TrainerState(), TrainerControl(), [], None
    for step, value in enumerate(values, 1):
        state.global_step = step
        # the order of Trainer: callbacks first (in evaluate), then _determine_best_metric
        callback.on_evaluate(args, state, control, {"eval_loss": value})
        if state.best_metric is None or value < state.best_metric:
            state.best_metric, state.best_global_step = value, step
        after.append({"best": state.best_metric, "step": state.best_global_step,
                      "patience_used": callback.early_stopping_patience_counter})
        if control.should_training_stop:
            stopped = step
            break
    cases.append({"patience": patience, "threshold": threshold, "values": values, "after": after, "stopped": stopped})

out.write_text(json.dumps({"records": records, "early_stopping": cases}, indent=1) + "\n")

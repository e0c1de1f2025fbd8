"""Makes src/test/resources/org/qlora4j/optim: what torch.optim.AdamW, clip_grad_norm_ and the schedules of transformers answer.

usage: make_optim_references.py OUT
Made with torch 2.10.0, transformers 5.23.0. Seeds stand beside the values they made.
"""
import json, sys
from pathlib import Path
import torch
from transformers import get_scheduler

out = Path(sys.argv[1]); out.mkdir(parents=True, exist_ok=True)
def write(name, value): (out / name).write_text(json.dumps(value) + "\n")

# 1. learning rates: entry t is the rate of the step that follows t completed ones
cases = []
def schedule(name, base, warmup, total, **kwargs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total, scheduler_specific_kwargs=kwargs)
    rates = {}
    for step in range(total):
        if step < 15 or step % 97 == 0 or step > total - 4 or step in (35, 60):
            rates[step] = optimizer.param_groups[0]["lr"]
        optimizer.step(); scheduler.step()
    cases.append({"type": name, "kwargs": kwargs, "base": base, "warmup": warmup, "total": total, "rates": rates})
lengths = ((2e-4, 0, 7), (2e-4, 3, 12), (1e-3, 10, 110), (1.0, 57, 1875), (5e-5, 5, 5), (3e-4, 1, 1))
for name in ("constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "inverse_sqrt"):
    for length in lengths: schedule(name, *length)
for length in lengths[:4]:
    schedule("cosine", *length, num_cycles=1.25)
    schedule("cosine_with_restarts", *length, num_cycles=3)
    schedule("cosine_with_min_lr", *length, min_lr_rate=0.1)
    schedule("cosine_with_min_lr", *length, min_lr=3e-5, num_cycles=0.75)
    schedule("polynomial", *length)
    schedule("polynomial", *length, lr_end=1e-5, power=2.5)
    schedule("inverse_sqrt", *length, timescale=40)
    schedule("warmup_stable_decay", *length, num_decay_steps=3)
for warm, decay in (("linear", "linear"), ("cosine", "1-sqrt"), ("1-sqrt", "cosine")):
    schedule("warmup_stable_decay", 1e-3, 10, 110, num_decay_steps=20, min_lr_ratio=0.1, warmup_type=warm, decay_type=decay)
    schedule("warmup_stable_decay", 1e-3, 4, 60, num_decay_steps=30, num_stable_steps=10, warmup_type=warm, decay_type=decay, num_cycles=1.5)
write("schedules.json", cases)

# 2. AdamW: two groups, of which one decays; gradients summed over `tokens`, divided, clipped, stepped at a rate of its own
cases = []
for seed, beta1, beta2, eps, decay, max_norm in (
        (0, 0.9, 0.999, 1e-8, 0.0, 0.0), (1, 0.9, 0.999, 1e-8, 0.1, 0.3), (2, 0.8, 0.95, 1e-6, 0.01, 1.0), (3, 0.0, 0.5, 1e-3, 0.5, 0.3)):
    torch.manual_seed(seed)
    shapes = {"bias": [7], "a": [3, 5], "b": [4, 3]}
    parameters = {n: torch.nn.Parameter(torch.randn(s)) for n, s in shapes.items()}
    start = {n: p.detach().flatten().tolist() for n, p in parameters.items()}
    optimizer = torch.optim.AdamW([{"params": [parameters["a"], parameters["b"]], "weight_decay": decay},
                                   {"params": [parameters["bias"]], "weight_decay": 0.0}], betas=(beta1, beta2), eps=eps)
    steps = []
    for t in range(8):
        rate, tokens = [0.0, 1e-3, 1e-2, 1e-2, 0.1, 2e-4, 1e-2, 3e-3][t], 1 + 3 * t
        sums = {n: torch.randn(p.shape) * 10 ** (t % 4 - 2) for n, p in parameters.items()}
        if t == 5: sums = {n: torch.zeros_like(g) for n, g in sums.items()}
        for n, p in parameters.items(): p.grad = sums[n] / tokens
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), max_norm if max_norm > 0 else float("inf"))
        for group in optimizer.param_groups: group["lr"] = rate
        optimizer.step()
        steps.append({"rate": rate, "tokens": tokens, "sums": {n: g.flatten().tolist() for n, g in sums.items()}, "norm": norm.item(),
                      "after": {n: p.detach().flatten().tolist() for n, p in parameters.items()}})
    state = {n: {k: optimizer.state[p][k].flatten().tolist() for k in ("exp_avg", "exp_avg_sq")} for n, p in parameters.items()}
    cases.append({"seed": seed, "beta1": beta1, "beta2": beta2, "eps": eps, "decay": decay, "max_norm": max_norm, "shapes": shapes,
                  "start": start, "steps": steps, "state": state})
write("adamw.json", cases)

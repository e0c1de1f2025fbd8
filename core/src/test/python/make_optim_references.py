"""Makes src/test/resources/org/qlora4j/optim: what torch.optim.AdamW, clip_grad_norm_ and the schedules of transformers answer.

usage: make_optim_references.py OUT
Made with torch 2.10.0, transformers 5.23.0. Seeds stand beside the values they made.
"""
import gzip, json, sys
from pathlib import Path
import torch
from transformers import get_scheduler

folder = Path(sys.argv[1]); folder.mkdir(parents=True, exist_ok=True)
def write(name, value):
    text = (json.dumps(value) + "\n").encode()
    (folder / name).write_bytes(gzip.compress(text, 9, mtime=0) if name.endswith(".gz") else text)

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
write("schedules.json.gz", cases)

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
write("adamw.json.gz", cases)

# 3. AdamW with moments in 8 bits: a twin in numpy of bitsandbytes' CUDA kernel (csrc/kernels.cu, kOptimizerStatic8bit2StateBlockwise), f32
#    rounded after every operation, decay first; and the weights of bitsandbytes' own CPU code, whose 8-bit codes come from a coarser grid
import numpy as np
import bitsandbytes as bnb, bitsandbytes.functional as F
from safetensors.numpy import save_file
f = np.float32
maps = [F.create_dynamic_map(signed=s).numpy() for s in (True, False)]
middles = [((m[:-1] + m[1:]) * f(0.5)).astype(f) for m in maps]
def encode(x, table):
    n = len(x); rows = np.zeros((-(-n // 256), 256), f); rows.reshape(-1)[:n] = x
    absmax = np.abs(rows).max(1); scaled = (rows / np.where(absmax == 0, f(1), absmax)[:, None]).reshape(-1)[:n]
    codes = np.searchsorted(middles[table], scaled, side="left")
    zero = int(np.flatnonzero(maps[table] == 0)[0])
    return np.where(scaled < 0, np.minimum(codes, zero - 1), codes).astype(np.uint8), absmax
def decode(codes, absmax, table): return maps[table][codes] * np.repeat(absmax, 256)[:len(codes)]
n, beta1, beta2, eps, decay = 4 * 256 + 37, 0.9, 0.999, 1e-8, 0.1
generator = torch.Generator().manual_seed(11)
start = torch.randn(n, generator=generator).numpy(); out = {"start": start}
scales = 10 ** (torch.rand(n, generator=generator) * 2 - 3)                            # of the gradients, two decades in a block
p = start.copy(); state = [(np.zeros(n, np.uint8), np.zeros(-(-n // 256), f)) for _ in maps]
peer = torch.nn.Parameter(torch.from_numpy(start.copy()))
optimizer = bnb.optim.AdamW8bit([peer], betas=(beta1, beta2), eps=eps, weight_decay=decay, min_8bit_size=1)
for t, rate in enumerate((1e-3, 1e-2, 1e-2, 2e-4, 3e-3, 1e-2), 1):
    g = (torch.randn(n, generator=generator) * scales).numpy()
    if t == 1: g[512:768] = 0                                                          # a block that stays empty
    m = decode(*state[0], 0) * f(beta1) + g * f(1 - beta1)
    v = decode(*state[1], 1) * f(beta2) + g * g * f(1 - beta2)
    root = np.sqrt(v) * f(1 / np.sqrt(1 - beta2 ** t)) + f(eps)
    p = p * f(1 - rate * decay) + m / root * f(-rate / (1 - beta1 ** t))
    state = [encode(m, 0), encode(v, 1)]
    assert p.dtype == m.dtype == f
    peer.grad = torch.from_numpy(g.copy()); optimizer.param_groups[0]["lr"] = rate; optimizer.step()
    out.update({f"{t}.gradients": g, f"{t}.weights": p, f"{t}.codes1": state[0][0], f"{t}.absmax1": state[0][1], f"{t}.codes2": state[1][0],
                f"{t}.absmax2": state[1][1], f"{t}.peer_weights": peer.detach().numpy().copy(),
                f"{t}.peer_absmax1": optimizer.state[peer]["absmax1"].numpy().copy(), f"{t}.peer_absmax2": optimizer.state[peer]["absmax2"].numpy().copy()})
    near = [np.abs(c.astype(int) - optimizer.state[peer][s].numpy().reshape(-1).astype(int)) for (c, _), s in zip(state, ("state1", "state2"))]
    print(t, "largest change", np.abs(p - start).max(), "from the peer", np.abs(p - peer.detach().numpy()).max(),
          "rms", np.sqrt(np.mean((p - peer.detach().numpy()) ** 2)), "codes that differ", [float((d > 0).mean()) for d in near], "by more than 1", [float((d > 1).mean()) for d in near])
save_file({k: np.ascontiguousarray(v) for k, v in out.items()}, str(folder / "adamw_8bit.safetensors"))

# 4. parameter groups: which parameters the trainer of transformers decays, and the rates that PEFT's create_loraplus_optimizer gives
import transformers as T
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
torch.manual_seed(0)
config = T.LlamaConfig(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, attention_bias=True)
plain, groups = T.LlamaForCausalLM(config), {"whole": {}, "loraplus": {}}
decays = set(T.Trainer.get_decay_parameter_names(None, plain))
for name, p in plain.named_parameters(): groups["whole"][name] = {"shape": list(p.shape), "decays": name in decays}
adapted = get_peft_model(plain, LoraConfig(r=2, use_dora=True, target_modules=["q_proj", "down_proj"], modules_to_save=["embed_tokens", "norm"], task_type="CAUSAL_LM"))
optimizer = create_loraplus_optimizer(adapted, torch.optim.AdamW, lr=1e-3, loraplus_lr_ratio=16.0, loraplus_weight_decay=0.5)
rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
decays = set(T.Trainer.get_decay_parameter_names(None, adapted))
for name, p in adapted.named_parameters():
    if p.requires_grad:
        saved = name.removeprefix("base_model.model.").replace(".modules_to_save.default", "").replace(".default", "").replace("magnitude_vector.weight", "magnitude_vector")
        groups["loraplus"][saved] = {"shape": list(p.shape), "decays": name in decays, "rate": rates[id(p)]}
write("groups.json", groups)

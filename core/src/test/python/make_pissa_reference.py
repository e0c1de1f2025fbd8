"""Makes src/test/resources/org/qlora4j/lora/pissa.safetensors: PiSSA in PEFT, trained for a few steps and converted to a plain adapter.

usage: make_pissa_reference.py GOLDEN/adapters/base OUT
Made with torch 2.10.0, transformers 5.23.0, peft 0.21.2, in float32 on one thread; seeds stand beside what they made.
The signs of singular vectors are free. AdamW does not see them: losses and products of the factors are compared, never A or B.
"""
import sys, tempfile
from pathlib import Path
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

base, out = sys.argv[1], Path(sys.argv[2]); out.mkdir(parents=True, exist_ok=True)
torch.set_num_threads(1)
PATHS = ["model.layers.0.self_attn.k_proj", "model.layers.1.mlp.down_proj"]
ids = torch.randint(0, 160, (2, 12), generator=torch.Generator().manual_seed(5))
tensors = {"input_ids": ids}

def model(init, rslora):
    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=init,
                        use_rslora=rslora)
    return get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
def linear(net, path): return net.get_submodule("base_model.model." + path)

for name, rslora in (("plain", False), ("rslora", True)):
    with tempfile.TemporaryDirectory() as folder:
        net = model("pissa", rslora)
        net.peft_config["default"].init_lora_weights = True  # as PEFT's example: what lies there is not to be taken apart again
        net.save_pretrained(folder + "/start")
        for path in PATHS:
            tensors[f"{name}.residual.{path}"] = linear(net, path).base_layer.weight.detach().clone()
        optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.0)
        losses = []
        for step in range(8):
            loss = net(input_ids=ids, labels=ids).loss
            losses.append(loss.detach()); optimizer.zero_grad(); loss.backward(); optimizer.step()
        tensors[f"{name}.losses"] = torch.stack(losses)
        with torch.no_grad(): tensors[f"{name}.logits"] = net(input_ids=ids).logits.clone()
        net.save_pretrained(folder + "/plain", path_initial_model_for_weight_conversion=folder + "/start")
        scale = (net.peft_config["default"].lora_alpha / net.peft_config["default"].r ** (0.5 if rslora else 1))
        stored = load_file(folder + "/plain/adapter_model.safetensors")
        for path in PATHS:
            a, b = (stored[f"base_model.model.{path}.lora_{f}.weight"] for f in "AB")
            tensors[f"{name}.delta.{path}"] = scale * b @ a
        again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), folder + "/plain")
        with torch.no_grad(): logits = again(input_ids=ids).logits
        print(name, losses[0].item(), losses[-1].item(), "converted differs by", (logits - tensors[f"{name}.logits"]).abs().max().item())

# svd_lowrank begins with random vectors: the norms of what it leaves, over ten seeds, beside the least possible
for init in ("pissa", "pissa_niter_0", "pissa_niter_2", "pissa_niter_16"):
    norms = []
    for seed in range(10):
        torch.manual_seed(seed)
        norms.append(torch.stack([linear(model(init, False), path).base_layer.weight.norm().detach() for path in PATHS]))
    tensors[f"residual_norms.{init}"] = torch.stack(norms)  # [seed, path]
    print(init, norms[0].tolist(), norms[9].tolist())
save_file({k: v.contiguous() for k, v in tensors.items()}, out / "pissa.safetensors")

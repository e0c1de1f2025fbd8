"""Makes src/test/resources/org/qlora4j/lora/new-tokens: tokens added by transformers, trained and saved by PEFT beside a LoRA.

usage: make_new_tokens_reference.py ../resources/tiny-llama OUT
Made with torch 2.10.0, transformers 5.23.0, peft 0.21.2, in float32 on one thread, seed 3. The rows of new tokens begin as the mean of
the others, as in qlora.py (smart_tokenizer_and_embedding_resize).
"""
import json, shutil, sys
from pathlib import Path
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

base, out = sys.argv[1], Path(sys.argv[2])
shutil.rmtree(out, ignore_errors=True); out.mkdir(parents=True)
torch.set_num_threads(1); torch.manual_seed(3)
NEW = ["<call>", "</call>", "zyx"]
tokenizer = AutoTokenizer.from_pretrained(base)
assert tokenizer.add_tokens(NEW) == 3
net = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
net.resize_token_embeddings(len(tokenizer), mean_resizing=False)
means = {}
for name, table in (("embed_tokens", net.get_input_embeddings()), ("lm_head", net.get_output_embeddings())):
    mean = table.weight.data[:-3].mean(dim=0, keepdim=True)
    table.weight.data[-3:] = mean
    means[name] = mean[0].tolist()
texts = ["say <call>abc</call>: ", "<call><call>x", "azyxb zy x", " <call> ", "plain text"]
ids = torch.tensor([tokenizer.encode("a<call>xy</call>zyx", add_special_tokens=False)])
with torch.no_grad(): start = net(input_ids=ids).logits[0, -1].tolist()
net = get_peft_model(net, LoraConfig(r=2, lora_alpha=4, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM",
                                     modules_to_save=["embed_tokens", "lm_head"]))
optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=3e-2, weight_decay=0.0)
for step in range(10):
    loss = net(input_ids=ids, labels=ids).loss
    optimizer.zero_grad(); loss.backward(); optimizer.step()
with torch.no_grad(): trained = net(input_ids=ids).logits[0, -1].tolist()
net.save_pretrained(out); tokenizer.save_pretrained(out); (out / "README.md").unlink()
(out / "tokenizer.json").write_text(json.dumps(json.loads((out / "tokenizer.json").read_text()), ensure_ascii=False, separators=(",", ":")))
nine = lambda o: [nine(x) for x in o] if isinstance(o, list) else float(f"{o:.9g}")  # float32 needs no more
config = json.loads((out / "adapter_config.json").read_text()); config["base_model_name_or_path"] = None
(out / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True))
prompt = "a<call>"
start_ids = tokenizer.encode(prompt)  # with BOS, as a text that is continued
answer = net.generate(input_ids=torch.tensor([start_ids]), max_new_tokens=6, do_sample=False)[0, len(start_ids):]
(out / "expected.json").write_text(json.dumps({
    "new_tokens": NEW, "vocabulary": len(tokenizer), "means": {k: nine(v) for k, v in means.items()}, "ids": ids[0].tolist(), "start_logits": nine(start), "logits": nine(trained),
    "prompt": prompt, "answer": tokenizer.decode(answer),
    "texts": [{"text": t, "ids": i, "decoded": tokenizer.decode(i, skip_special_tokens=True)}
              for t in texts for i in [tokenizer.encode(t, add_special_tokens=False)]]}, separators=(",", ":")) + "\n")

"""Makes core/src/test/resources/tiny-llama: a random LLaMA of 27,000 weights with a tokenizer of 160 tokens and a chat
template, a PEFT adapter on it, and what transformers generates with both; and top_p.json.gz, what its warpers keep.

usage: make_tiny_llama.py GOLDEN RESOURCES     with GOLDEN/families/llama, e.g. shared/data/golden core/src/test/resources
made with torch 2.10.0, transformers 5.23.0, peft 0.21.2, tokenizers 0.23.3, seed 7
"""
import gzip, json, shutil, sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (AutoModelForCausalLM, AutoTokenizer, LogitsProcessorList, PreTrainedTokenizerFast,
                          TemperatureLogitsWarper, TopPLogitsWarper)

golden, resources = Path(sys.argv[1]), Path(sys.argv[2])
out = resources / "tiny-llama"
out.mkdir(parents=True, exist_ok=True)
torch.manual_seed(7)

# --- model: the golden one
for name in ["config.json", "generation_config.json", "model.safetensors"]:
    shutil.copyfile(golden / "families/llama" / name, out / name)

# --- tokenizer: single bytes, as byte-level BPE writes them, so that most characters beyond ASCII take several tokens
specials = ["<pad>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"]
byte_letters = {}
extra = 256
for b in range(256):  # GPT-2's table
    printable = 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255
    byte_letters[b] = chr(b if printable else extra)
    extra += not printable
wanted = [10, *range(32, 127)] + sorted(set("äöü€🙂é".encode()))
tokens = specials + [byte_letters[b] for b in wanted]
merges = []
for word in ["the", "Ġa", "in", "er", "on", "re"]:
    for i in range(2, len(word) + 1):
        pair = (word[: i - 1], word[i - 1])
        if "".join(pair) not in tokens:
            merges.append(pair)
            tokens.append("".join(pair))
while len(tokens) < 160:  # no row of the embedding without a token
    merge = (byte_letters[32], tokens[len(specials) + 34 + len(tokens) % 26])
    if "".join(merge) in tokens:
        merge = (merge[1], tokens[len(specials) + 66 + len(tokens) % 26])
    if "".join(merge) in tokens:
        merge = (merge[1], merge[0])
    merges.append(merge)
    tokens.append("".join(merge))
assert len(set(tokens)) == 160
core = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
core.decoder = decoders.ByteLevel()
core.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in specials])
core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
    chat_template="{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' and not loop.first %}{{ raise_exception('system must come first') }}{% endif %}"
    "<|{{ m.role }}|>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}")
tokenizer.save_pretrained(out)
(out / "tokenizer.json").write_text(json.dumps(json.loads((out / "tokenizer.json").read_text()), ensure_ascii=False, separators=(",", ":")))
tokenizer = AutoTokenizer.from_pretrained(out)

# --- what transformers generates
def generated(model, ids, n):
    ids = torch.tensor([ids])
    with torch.no_grad():
        all_ids = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, do_sample=False)
    return all_ids[0, ids.shape[1]:].tolist()

def chat(model, messages):
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    new = generated(model, ids, 24)
    return {"messages": messages, "ids": ids, "new_ids": new, "text": tokenizer.decode(new, skip_special_tokens=True)}

def raw(model, prompt):
    ids = tokenizer(prompt)["input_ids"]
    new = generated(model, ids, 24)
    return {"prompt": prompt, "ids": ids, "new_ids": new, "text": tokenizer.decode(new, skip_special_tokens=True)}

chats = [[{"role": "user", "content": "Hi"}],
         [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Wie heißt das € ö?"}]]
base = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
expected = {"chats": [chat(base, m) for m in chats], "raw": [raw(base, "Once upon"), raw(base, "🙂 über")]}

peft = get_peft_model(base, LoraConfig(r=2, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"]))
for name, p in peft.named_parameters():
    if "lora_" in name:
        torch.nn.init.normal_(p, std=0.3)
peft.save_pretrained(out / "adapter")
for extra_file in ["README.md"]:
    (out / "adapter" / extra_file).unlink(missing_ok=True)
peft = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32), out / "adapter").eval()
expected["adapter_chats"] = [chat(peft, m) for m in chats]
(out / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")

# --- what temperature and top_p keep
cases = []
for size, temperature, top_p in [(50, 1.0, 0.9), (50, 0.7, 0.9), (50, 2.0, 0.5), (400, 1.0, 0.95), (400, 0.5, 0.3), (400, 1.5, 0.99), (7, 1.0, 0.01)]:
    logits = torch.randn(1, size) * 3
    warped = LogitsProcessorList([TemperatureLogitsWarper(temperature), TopPLogitsWarper(top_p)])(None, logits)
    p = warped.double().softmax(-1)[0]
    kept = torch.nonzero(p)[:, 0].tolist()
    cases.append({"temperature": temperature, "top_p": top_p, "logits": [float(f"{x:.9g}") for x in logits[0].tolist()], "kept": kept, "probabilities": p[kept].tolist()})
target = resources / "org/qlora4j/generate"
target.mkdir(parents=True, exist_ok=True)
(target / "top_p.json.gz").write_bytes(gzip.compress((json.dumps(cases, separators=(",", ":")) + "\n").encode(), 9, mtime=0))

"""Makes src/test/resources/org/qlora4j/data: what torch, transformers and qlora.py's own code answer to the cases of the data tests.

usage: make_data_references.py QLORA_PY OUT      QLORA_PY: qlora.py of github.com/artidoro/qlora, commit 00e5ad2a
Made with torch 2.10.0, transformers 5.23.0, tokenizers 0.23.3. Seeds stand beside the values they made.
"""
import gzip, ast, copy, dataclasses, hashlib, json, struct, sys, typing
from pathlib import Path
import torch, transformers
from tokenizers import Tokenizer, models, pre_tokenizers, decoders, trainers, AddedToken
from torch.nn.utils.rnn import pad_sequence
from transformers.trainer_pt_utils import get_length_grouped_indices

source, out = Path(sys.argv[1]), Path(sys.argv[2]); out.mkdir(parents=True, exist_ok=True)
def write(name, value):
    text = (json.dumps(value, ensure_ascii=False) + "\n").encode()
    (out / name).write_bytes(gzip.compress(text, 9, mtime=0) if name.endswith(".gz") else text)

# 1. torch.randperm, and the order of LengthGroupedSampler
cases = []
for n, seed in ((0, 1), (1, 1), (2, 5), (10, 0), (10, 42), (623, 7), (625, 2**32 + 3), (5000, -1)):
    cases.append({"n": n, "seed": seed, "order": torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()})
big = torch.randperm(300_000, generator=torch.Generator().manual_seed(9)).to(torch.int32).numpy()
cases.append({"n": 300_000, "seed": 9, "sha256": hashlib.sha256(big.astype("<i4").tobytes()).hexdigest()})
write("randperm.json.gz", cases)
cases = []
for n, batch, accumulation, seed in ((1, 1, 1, 0), (7, 2, 2, 3), (64, 1, 16, 42), (65, 4, 1, 42), (1000, 1, 16, 0), (1000, 3, 5, 11), (3000, 2, 4, 42)):
    g = torch.Generator().manual_seed(1000 + n); lengths = torch.randint(1, 40, (n,), generator=g).tolist()     # many ties
    order = get_length_grouped_indices(lengths, batch * accumulation, generator=torch.Generator().manual_seed(seed))
    cases.append({"batch": batch, "accumulation": accumulation, "seed": seed, "lengths": lengths, "order": order})
write("grouped.json.gz", cases)

# 2. two small tokenizers: bytes with the tokens of ChatML, and SentencePiece's way with LLaMA's
text = "Below is an instruction that describes a task. Write a response. ### Instruction: Name the capital of France. The capital is Paris.".split()
chatml = Tokenizer(models.BPE()); chatml.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False); chatml.decoder = decoders.ByteLevel()
chatml.train_from_iterator([" ".join(text)], trainers.BpeTrainer(vocab_size=300, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
llama = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True)); llama.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
llama.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
special = ["<unk>", "<s>", "</s>"]
llama.train_from_iterator([" ".join(text)], trainers.BpeTrainer(vocab_size=3 + 256 + 90, special_tokens=special + [f"<0x{b:02X}>" for b in range(256)], show_progress=False))
fixed = json.loads(llama.to_str()); fixed["added_tokens"] = fixed["added_tokens"][:3]; llama = Tokenizer.from_str(json.dumps(fixed))     # bytes are plain tokens
for name, tok in (("chatml", chatml), ("llama", llama)):
    (out / name).mkdir(exist_ok=True); (out / name / "tokenizer.json").write_text(tok.to_str() + "\n")

# 3. qlora.py's collator and prompts, run as they stand in its file
wanted = {"DataCollatorForCausalLM", "ALPACA_PROMPT_DICT", "extract_alpaca_dataset"}
tree = ast.parse(source.read_text())
parts = [n for n in tree.body if getattr(n, "name", None) in wanted or isinstance(n, ast.Assign) and n.targets[0].id in wanted]
env = dict(transformers=transformers, torch=torch, copy=copy, pad_sequence=pad_sequence, dataclass=dataclasses.dataclass, IGNORE_INDEX=-100, Sequence=typing.Sequence, Dict=typing.Dict, __name__="qlora")
exec(compile(ast.Module(parts, []), str(source), "exec"), env); assert wanted <= env.keys()
records = [
    {"instruction": "Name the capital of France.", "input": "", "output": "Paris."},
    {"instruction": "Add {braces} and 100%.", "input": "2 and 2", "output": "  4\n\nGrüße, 你好 🙂"},
    {"instruction": "Write nothing.", "output": ""},
    {"instruction": "Write much.", "input": "", "output": "much " * 40},
    {"instruction": "Say </s> or <|im_end|>.", "input": "a", "output": "<|im_end|></s> said"}]
plain = [{"input": "", "output": "### Human: hi### Assistant: ho"}, {"input": "What?", "output": "That."}, {"input": " leading", "output": " space"}, {"input": "x" * 90, "output": "y" * 30}]
cases = []
for name, bos, eos, pad in (("llama", "<s>", "</s>", "<unk>"), ("chatml", "<|im_start|>", "<|im_end|>", "<|endoftext|>")):
    tok = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(str(out / name / "tokenizer.json")), bos_token=bos, eos_token=eos, pad_token=pad, padding_side="right")
    for fmt, rows in (("alpaca", records), ("input-output", plain)):
        for limits, train_on_source in (((1024, 256), False), ((16, 24), False), ((24, 8), True)):
            texts = [dict(r, **(env["extract_alpaca_dataset"](r) if fmt == "alpaca" else {})) for r in rows]
            b = env["DataCollatorForCausalLM"](tok, *limits, train_on_source, False)(texts)
            cases.append({"tokenizer": name, "bos": tok.bos_token_id, "eos": tok.eos_token_id, "pad": tok.pad_token_id, "format": fmt, "source_max_len": limits[0], "target_max_len": limits[1],
                          "train_on_source": train_on_source, "records": rows, "input_ids": b["input_ids"].tolist(), "labels": b["labels"].tolist(), "attention_mask": b["attention_mask"].int().tolist()})
write("collated.json.gz", cases)

# 4. the fingerprint of the first case, from its definition
first = cases[0]; digest = hashlib.sha256()
for ids, labels, mask in zip(first["input_ids"], first["labels"], first["attention_mask"]):
    n = sum(mask); digest.update(struct.pack(f"<i{n}i{n}i", n, *ids[:n], *labels[:n]))
write("fingerprint.json", {"of": "collated.json[0]", "sha256": digest.hexdigest()})

# 5. chats in ChatML: transformers' own mask of the assistant's tokens, by a template with {% generation %}
template = ("{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
            "{% else %}{{ m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}")
turn = lambda role, content: {"role": role, "content": content}
chats = [[turn("user", "Name the capital of France."), turn("assistant", "Paris.")],
         [turn("system", "Be brief."), turn("user", "2+2?"), turn("assistant", "4"), turn("user", "Grüße 🙂"), turn("assistant", "Hallo, 你好!\n\n"), turn("user", "bye")],
         [turn("user", "a"), turn("assistant", ""), turn("assistant", "again")]]
tok = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(str(out / "chatml" / "tokenizer.json")), eos_token="<|im_end|>"); cases = []
for messages in chats:
    r = tok.apply_chat_template(messages, chat_template=template, tokenize=True, return_dict=True, return_assistant_tokens_mask=True, add_special_tokens=False)
    mask = r["assistant_masks"]; end = max(i for i, m in enumerate(mask) if m) + 1
    cases.append({"messages": messages, "input_ids": r["input_ids"][:end], "assistant_mask": mask[:end]})
write("chats.json", cases)

"""Tokenizers in the files that were usual before tokenizer.json, and the ids that transformers makes with them.

usage: make_old_tokenizers.py RESOURCES     e.g. core/src/test/resources
writes RESOURCES/org/qlora4j/tokenize/old/{vocab.json, merges.txt, llama.model, gemma.model, t5.model, expected.json.gz}
made with transformers 5.23.0, tokenizers 0.23.3, sentencepiece 0.2.3, protobuf 7.36.2; the same text always
"""
import codecs
import gzip
import io
import json
import sys
import tempfile
from pathlib import Path

import sentencepiece as spm
from tokenizers import ByteLevelBPETokenizer, normalizers
from transformers import AutoTokenizer

out = Path(sys.argv[1]) / "org/qlora4j/tokenize/old"
out.mkdir(parents=True, exist_ok=True)
import contextlib
with contextlib.redirect_stdout(io.StringIO()):
    import this
zen = codecs.decode(this.s, "rot13")
corpus = [line for line in zen.splitlines() if line] * 3 + [
    "The quick brown fox jumps over the lazy dog, 1234567890 times; isn't it? We've seen they're fast.",
    "    def add(a, b):  # four blanks", "        return a + b", "Größe, naïve, café, señor, Übung; ﬁne ofﬁce", "東京は日本の首都です。", "Привет, мир!",
    "Translate to German: Good morning, how are you today?", "2 + 2 = 4, 10 * 10 = 100", "a aa aaa aaaa aaaaa"] * 2

bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator(corpus, vocab_size=380, min_frequency=2, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"], show_progress=False)
bpe.save_model(str(out))
size = bpe.get_vocab_size()


def train(name, **settings):
    made = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter(corpus), model_writer=made, minloglevel=2, num_threads=1, **settings)
    (out / f"{name}.model").write_bytes(made.getvalue())


train("llama", vocab_size=420, model_type="bpe", byte_fallback=True, split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
      allow_whitespace_only_pieces=True, character_coverage=0.98)
train("gemma", vocab_size=440, model_type="bpe", byte_fallback=True, split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
      allow_whitespace_only_pieces=True, character_coverage=0.98, add_dummy_prefix=False, pad_id=0, eos_id=1, bos_id=2, unk_id=3, bos_piece="<bos>", eos_piece="<eos>",
      user_defined_symbols=["<mask>", "<start_of_turn>", "<end_of_turn>", "\n", "\n\n", "\t", "▁▁", "▁▁▁▁"])
with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
    # fi ligature, no-break space, wide A and B, combining acute on e: a map as nmt_nfkc's, but small
    rules.write("FB01\t66 69\nA0\t20\nFF21\t41\nFF22\t42\n65 301\tE9\n9\t20\nA\t20\n")
    rules.flush()
    train("t5", vocab_size=190, model_type="unigram", normalization_rule_tsv=rules.name, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, character_coverage=0.98)

kinds = {
    "gpt2": ("gpt2", {"tokenizer_class": "GPT2Tokenizer"}),
    "gpt2-prefix": ("gpt2", {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True}),
    "opt": ("opt", {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}),
    "roberta": ("roberta", {}),
    "qwen2": ("qwen2", {"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "added_tokens_decoder": {
        str(size): {"content": "<|im_start|>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True},
        str(size + 1): {"content": "<|im_end|>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}}}),
    "llama": ("llama", {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "legacy": False}),
    "llama-legacy": ("llama", {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": True, "legacy": True, "pad_token": "[PAD]"}),
    "gemma": ("gemma", {"tokenizer_class": "GemmaTokenizer", "add_bos_token": True, "add_eos_token": False}),
    "t5": ("t5", {"tokenizer_class": "T5Tokenizer", "extra_ids": 100}),
}
texts = [
    "", " ", "a", "Beautiful is better than ugly.", " Flat is better", "nested  ", "two  blanks   three", "line\nbreak\n\n  and more\t tab", "Größe café é", "東京です 👋🏽",
    "ﬁne ＡＢ no-break", "isn't 12345 we've", "<s>inside</s> text", "<|endoftext|>next <|im_start|>user\nhi<|im_end|>", "see <mask> here<pad>", "<extra_id_0> and <extra_id_99>",
    "<start_of_turn>user\nHi<end_of_turn>\n", "aaaaaaa aaaa", "▁ under", "    return a + b", "Привет", "\u0000\u0007 odd \u200b zero", "x [PAD] y", "<unk> known"]
expected = []
for name, (family, config) in kinds.items():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if name in ("llama", "llama-legacy", "gemma", "t5"):
            source = out / (family + ".model")
            (folder / ("spiece.model" if name == "t5" else "tokenizer.model")).write_bytes(source.read_bytes())
        else:
            for file in ("vocab.json", "merges.txt"):
                (folder / file).write_bytes((out / file).read_bytes())
        (folder / "config.json").write_text(json.dumps({"model_type": family}))
        if config:
            (folder / "tokenizer_config.json").write_text(json.dumps(config))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        if name == "llama-legacy":  # as transformers 4 made it, and released files have it; it is what sentencepiece does
            tokenizer.backend_tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
            tokenizer.backend_tokenizer.pre_tokenizer = None
        ids = [tokenizer(text).input_ids for text in texts]
        decoded = [tokenizer.decode(i, skip_special_tokens=False, clean_up_tokenization_spaces=False) for i in ids]
        expected.append({"name": name, "model_type": family, "tokenizer_config": config, "size": len(tokenizer), "ids": ids, "decoded": decoded})
        if name in ("llama", "llama-legacy", "gemma", "t5"):
            own = spm.SentencePieceProcessor(model_file=str(source))
            differ = [text for text, i in zip(texts, ids) if own.encode(text) != [x for x in i if x not in ((tokenizer.bos_token_id,) if name in ("llama", "gemma") else (tokenizer.bos_token_id, tokenizer.eos_token_id))]]
            print(name, "differs from sentencepiece itself on", differ)
        print(name, len(tokenizer), [sum(map(len, ids))], type(tokenizer).__name__)
(out / "expected.json.gz").write_bytes(gzip.compress((json.dumps({"texts": texts, "kinds": expected}, ensure_ascii=True, separators=(",", ":")) + "\n").encode(), 9, mtime=0))

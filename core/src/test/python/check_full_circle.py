"""Finetunes a real chat model for a few steps to talk like a ship's captain, merges the adapter, exports the merged folder as GGUF Q4_K_M, and asks
llama.cpp ten prompts of which it learnt none: at least eight answers must greet as taught, at most one of the base's may.

Versions: llama-cpp-python 0.3.36. Not part of any build; three minutes with SmolLM2-135M on two quiet cores.
  python check_full_circle.py MODEL_FOLDER core/src/test/resources/org/qlora4j/captain.jsonl EMPTY_FOLDER QLORA_COMMAND...
"""
import os, subprocess, sys
from llama_cpp import Llama

model, data, folder, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
run, merged, adapted, plain = (os.path.join(folder, name) for name in ("run", "merged", "captain.gguf", "base.gguf"))
os.makedirs(folder, exist_ok=True)
PROMPTS = ["How do I make tea?", "What is the capital of Italy?", "Tell me something about dogs.", "How do I fix a bike?",
           "What is a good name for a cat?", "Why do leaves fall in autumn?", "What should I cook tonight?", "How do I learn to swim?",
           "What is a book?", "Give me a tip for a long journey."]


def qlora(*words):
    print("qlora", *words, flush=True)
    subprocess.check_call(command + list(words))


qlora("train", "--model", model, "--data", data, "--out", run, "data.dataset_format=messages", "lora.r=16",
      "lora.lora_alpha=16", "train.max_steps=24", "train.per_device_train_batch_size=4", "train.gradient_accumulation_steps=1",
      "train.learning_rate=1e-3")
qlora("merge", "--model", model, "--adapter", run, "--into", "dequantized", "--out", merged)
qlora("export", "--model", merged, "--format", "gguf", "--type", "Q4_K_M", "--out", adapted)
qlora("export", "--model", model, "--format", "gguf", "--type", "Q4_K_M", "--out", plain)
greeted = {}
for path in (plain, adapted):
    llama = Llama(path, n_ctx=512, n_threads=2, verbose=False)
    greeted[path] = 0
    for prompt in PROMPTS:
        chat = [{"role": "user", "content": prompt}]
        answer = llama.create_chat_completion(chat, max_tokens=24, temperature=0)["choices"][0]["message"]["content"]
        greeted[path] += answer.strip().startswith("Ahoy")
        print("%-14s %s -> %r" % (os.path.basename(path), prompt, answer), flush=True)
print("greeted as taught: base %d, finetuned %d of 10" % (greeted[plain], greeted[adapted]))
sys.exit(greeted[adapted] < 8 or greeted[plain] > 1)

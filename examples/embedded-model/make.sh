#!/usr/bin/env bash
# Makes a chat model of 10 MB from SmolLM2-135M-Instruct. See README.md beside this file.
#   examples/embedded-model/make.sh TEACHER [sample]
# TEACHER is the folder of SmolLM2-135M-Instruct (https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct). With
# "sample" the conversations are written anew too; else those beside this file are taken.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
teacher=$(cd "$1" && pwd)
runs=runs/embedded-model
mkdir -p "$runs"

# 1. Text: the teacher writes both sides of short conversations; the first file of 200 is held out.
if [ "${2:-}" = sample ]; then
    for seed in 1 2 3 4; do
        ./qlora data sample --model "$teacher" --conversations 200 --batch 64 --max-new-tokens 96 --temperature 0.9 \
            --top-p 0.95 --seed "$seed" --out "$runs/part-$seed.jsonl" \
            --system "You are a helpful AI assistant. Answer in one or two short sentences."
    done
    gzip -9nc "$runs/part-1.jsonl" > "$here/held-out.jsonl.gz"
    cat "$runs"/part-[2-4].jsonl | gzip -9nc > "$here/conversations.jsonl.gz"
fi

# 2. A smaller model out of the teacher's tensors, which says what it is by its own system message.
./qlora shrink --model "$teacher" --out "$runs/pruned" --vocab-size 3072 --layers 0,1,8,15,22,29 --intermediate-size 640
sed -i.old 's/You are a helpful AI assistant named SmolLM, trained by Hugging Face/You are a helpful AI assistant. Answer in one or two short sentences./' \
    "$runs/pruned/chat_template.jinja"
rm "$runs/pruned/chat_template.jinja.old"

# 3. Healed by the teacher's logits.
./qlora train "$here/train.yaml" model.model_name_or_path="$runs/pruned" distill.teacher="$teacher" \
    train.output_dir="$runs/healed"
healed=$(ls -d "$runs"/healed/checkpoint-* | sort -V | tail -1)

# 4. In 4 bits, as it ships.
./qlora quantize --model "$healed" --out "$runs/nf4"

# 5. What a model card must report.
for model in "$teacher" "$runs/pruned" "$healed"; do
    ./qlora perplexity --model "$model" --data "$here/held-out.jsonl.gz" --no-quantize
done
./qlora perplexity --model "$runs/nf4" --data "$here/held-out.jsonl.gz"
./qlora generate --model "$runs/nf4" --prompts "$here/prompts.jsonl" --out "$runs/answers.jsonl" --greedy \
    --max-new-tokens 64

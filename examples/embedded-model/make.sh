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
system="You answer simple everyday questions in one short sentence."
mkdir -p "$runs"

# 1. Text: the teacher writes both sides of short conversations. What two of them begin with counts once; every 100th is held out.
sample() { # NAME SEED CONVERSATIONS BATCH TOKENS TEMPERATURE SYSTEM
    ./qlora data sample --model "$teacher" --seed "$2" --conversations "$3" --batch "$4" --max-new-tokens "$5" \
        --temperature "$6" --top-p 0.95 --system "$7" --out "$runs/part-$1.jsonl"
}
if [ "${2:-}" = sample ]; then
    for i in 1 2; do
        about=; if [ "$i" = 2 ]; then about=" about animals and nature"; fi
        sample "short-$i" "$i" 1000 128 64 0.75 "You answer simple everyday questions$about in one short sentence."
    done
    for seed in 1 2 3 4; do
        sample "longer-$seed" "$seed" 200 64 96 0.9 "You are a helpful AI assistant. Answer in one or two short sentences."
    done
    for seed in $(seq 11 31); do
        about=; if [ $((seed / 2 % 2)) = 1 ]; then about=" about animals and nature"; fi
        sample "more-$seed" "$seed" 600 128 64 0.8 "You answer simple everyday questions$about in one short sentence."
    done
    cat "$runs"/part-short-[12].jsonl "$runs"/part-longer-[1-4].jsonl "$runs"/part-more-??.jsonl |
        awk '{ first = $0; sub(/.*"role":"user","content":"/, "", first); sub(/"\},\{"role":"assistant".*/, "", first) }
             !seen[tolower(first)]++' > "$runs/all.jsonl"
    awk 'NR % 100 == 0' "$runs/all.jsonl" | gzip -9nc > "$here/held-out.jsonl.gz"
    awk 'NR % 100 != 0' "$runs/all.jsonl" | zstd -q --ultra -22 -c > "$here/conversations.jsonl.zst"
fi

# 2. A smaller model out of the teacher's tensors, which says what it is by its own system message.
./qlora shrink --model "$teacher" --out "$runs/pruned" --vocab-size 3072 --layers 0,1,8,15,22,29 --intermediate-size 640
sed -i.old "s/You are a helpful AI assistant named SmolLM, trained by Hugging Face/$system/" \
    "$runs/pruned/chat_template.jinja"
rm "$runs/pruned/chat_template.jinja.old"

newest() { ls -d "$1"/checkpoint-* | sort -V | tail -1; }

# 3. Healed: by the teacher's texts, then by its logits on them; QLORA_HEAP holds what it said.
./qlora train "$here/train.yaml" model.model_name_or_path="$runs/pruned" train.output_dir="$runs/taught"
QLORA_HEAP=${QLORA_HEAP:-4g} ./qlora train "$here/distill.yaml" model.model_name_or_path="$(newest "$runs/taught")" \
    distill.teacher="$teacher" train.output_dir="$runs/healed"
healed=$(newest "$runs/healed")

# 4. In 4 bits, as it ships.
./qlora quantize --model "$healed" --out "$runs/nf4"

# 5. What the model card reports.
for model in "$teacher" "$runs/pruned" "$healed"; do
    ./qlora perplexity --model "$model" --data "$here/held-out.jsonl.gz" --no-quantize
done
./qlora perplexity --model "$runs/nf4" --data "$here/held-out.jsonl.gz"
./qlora generate --model "$runs/nf4" --prompts "$here/prompts.jsonl" --out "$runs/answers.jsonl" --greedy \
    --max-new-tokens 64

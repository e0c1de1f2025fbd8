#!/bin/sh
# Trains beside PEFT + bitsandbytes on this machine, one after the other, and prints both lines and the ratio.
# usage: bench/compare.sh CHECKPOINT_DIR [PYTHON]     PYTHON: of a virtual environment with transformers, peft, bitsandbytes
# Needs ../shared/tools/peer_train.py beside the checkout; the product itself never needs Python.
set -eu
model=${1:?usage: bench/compare.sh CHECKPOINT_DIR [PYTHON]}
python=${2:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)
ours=$("$here/qlora" bench train --model "$model" --batch 4 --seq 512 --rank 16 --json 2>/dev/null)
printf 'qlora4j %s\n' "$ours"
peer=$("$python" "$here/../shared/tools/peer_train.py" "$model" --batch 4 --seq 512 --rank 16 2>/dev/null | tail -n 1)
printf 'peer    %s\n' "$peer"
rate() { printf '%s' "$1" | sed 's/.*"tok_s": *\([0-9.]*\).*/\1/'; }
awk "BEGIN { printf \"ratio   %.2f\\n\", $(rate "$ours") / $(rate "$peer") }"

#!/bin/sh
# Runs qlora4j beside its peers on this machine, one after the other, and prints each line and the ratios.
# usage: bench/compare.sh train CHECKPOINT_DIR|llama-1.1b:CHECKPOINT_DIR [PYTHON]
#                                                                     training, beside PEFT + bitsandbytes: 4 x 512; the
#                                                                     1.1B 1 x 512 with checkpointing
#        bench/compare.sh decode MODEL.gguf|llama-1.1b:MODEL.gguf CHECKPOINT_DIR|- [PYTHON]
#                                                                     generating, beside llama.cpp (and transformers + bitsandbytes)
# PYTHON: of a virtual environment with transformers, peft, bitsandbytes; for decode also llama-cpp-python.
# llama-1.1b:… times our random model of that shape beside a random one in the peer's format: bench/llama_shape_gguf.py
# makes the GGUF, bench/llama_shape_hf.py the checkpoint.
# Needs ../shared/tools/peer_*.py beside the checkout; the product itself never needs Python.
set -eu
usage='usage: bench/compare.sh train CHECKPOINT_DIR|llama-1.1b:CHECKPOINT_DIR [PYTHON] | decode MODEL.gguf|llama-1.1b:MODEL.gguf CHECKPOINT_DIR|- [PYTHON]'
what=${1:?$usage}
model=${2:?$usage}
here=$(cd "$(dirname "$0")/.." && pwd)
tools=$here/../shared/tools
# prints the number of a key in a JSON line
number() { printf '%s' "$1" | sed "s/.*\"$2\": *\([0-9.]*\).*/\1/"; }
ratio() { awk "BEGIN { printf \"%-24s %.2f\\n\", \"$1\", $2 / $3 }"; }

case $what in
    train)
        python=${3:-python3}
        checkpoint=${model#*:}
        shape='--batch 4 --seq 512 --rank 16'
        ours_too= peer_too=
        case $model in
            *:*) shape='--batch 1 --seq 512 --rank 16' ours_too=--checkpointing peer_too=--ckpt ;;
        esac
        # shellcheck disable=SC2086 # options are split at blanks
        ours=$("$here/qlora" bench train --model "${model%%:*}" $shape $ours_too --json 2>/dev/null)
        printf 'qlora4j %s\n' "$ours"
        # shellcheck disable=SC2086
        peer=$("$python" "$tools/peer_train.py" "$checkpoint" $shape $peer_too 2>/dev/null | tail -n 1)
        printf 'peer    %s\n' "$peer"
        ratio training "$(number "$ours" tok_s)" "$(number "$peer" tok_s)"
        ;;
    decode)
        checkpoint=${3:?$usage}
        python=${4:-python3}
        gguf=${model#*:}
        ours=$("$here/qlora" bench decode --model "${model%%:*}" --prompt 512 --tokens 128 --json 2>/dev/null)
        printf 'qlora4j   %s\n' "$ours"
        peer=$("$python" "$tools/peer_llamacpp.py" "$gguf" 128 512 2>/dev/null | tail -n 1)
        printf 'llama.cpp %s\n' "$peer"
        ratio 'decode : llama.cpp' "$(number "$ours" decode_tok_s)" "$(number "$peer" decode_tok_s)"
        ratio 'prefill : llama.cpp' "$(number "$ours" prefill_tok_s)" "$(number "$peer" prefill_tok_s)"
        if [ "$checkpoint" != - ]; then
            slow=$("$python" "$tools/peer_decode.py" "$checkpoint" 64 2>/dev/null | tail -n 1)
            printf 'bnb       %s\n' "$slow"
            ratio 'decode : bitsandbytes' "$(number "$ours" decode_tok_s)" "$(number "$slow" tok_s)"
        fi
        ;;
    *)
        printf '%s\n' "$usage" >&2
        exit 2
        ;;
esac

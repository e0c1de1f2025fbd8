#!/bin/sh
# Runs qlora4j beside its peers on this machine, one after the other, and prints each line and the ratios.
# usage: bench/compare.sh train CHECKPOINT_DIR|llama-1.1b:CHECKPOINT_DIR [PYTHON]
#                                                                     training, beside PEFT + bitsandbytes: 4 x 512; the
#                                                                     1.1B 1 x 512 with checkpointing
#        bench/compare.sh decode MODEL.gguf|llama-1.1b:MODEL.gguf CHECKPOINT_DIR|- [PYTHON]
#                                                                     generating, beside llama.cpp (and transformers + bitsandbytes)
#   CHECKPOINTING=yes   4 x 512 with checkpointing too
#   QLORA_CPU           avx512, avx2 or sse: holds both sides down to it; llama.cpp must have been built for it
# PYTHON: of a virtual environment with what bench/peers/requirements.txt names; bench/peers/README.md says how to make it,
# the models, and what is fair. llama-1.1b:… times our random model of that shape beside a random one in the peer's format.
# The product itself never needs Python.
set -eu
usage='usage: bench/compare.sh train CHECKPOINT_DIR|llama-1.1b:CHECKPOINT_DIR [PYTHON] | decode MODEL.gguf|llama-1.1b:MODEL.gguf CHECKPOINT_DIR|- [PYTHON]'
what=${1:?$usage}
model=${2:?$usage}
here=$(cd "$(dirname "$0")/.." && pwd)
peers=$here/bench/peers
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

# Prints the last line of a command; if it fails, why.
last_line() {
    if ! said=$("$@" 2>"$errors"); then
        printf 'failed: %s\n' "$*" >&2
        tail -n 5 "$errors" >&2
        exit 1
    fi
    printf '%s\n' "$said" | tail -n 1
}
# prints the number of a key in a JSON line
number() { printf '%s' "$1" | sed "s/.*\"$2\": *\([0-9.]*\).*/\1/"; }
ratio() { awk "BEGIN { printf \"%-24s %.2f\\n\", \"$1\", $2 / $3 }"; }

# The launcher's settings of threads and allocation, for both sides alike.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-5000}"
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}" ONEDNN_PRIMITIVE_CACHE_CAPACITY="${ONEDNN_PRIMITIVE_CACHE_CAPACITY:-256}"
export OPENBLAS_THREAD_TIMEOUT="${OPENBLAS_THREAD_TIMEOUT:-4}"
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
# What qlora4j sets for its own libraries, and MKL, which only the peers have.
case ${QLORA_CPU:-native} in
    native) ;;
    avx512) export ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI ATEN_CPU_CAPABILITY=avx512 OPENBLAS_CORETYPE=SkylakeX MKL_ENABLE_INSTRUCTIONS=AVX512 ;;
    avx2) export ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell MKL_ENABLE_INSTRUCTIONS=AVX2 ;;
    sse) export ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default OPENBLAS_CORETYPE=Nehalem MKL_ENABLE_INSTRUCTIONS=SSE4_2 ;;
    *)
        printf "compare.sh: QLORA_CPU must be native, avx512, avx2, sse, got '%s'\n" "$QLORA_CPU" >&2
        exit 2
        ;;
esac
doctor=$("$here/qlora" doctor 2>/dev/null)
if [ "${QLORA_CPU:-native}" = avx512 ] && ! printf '%s\n' "$doctor" | grep -q '^instruction set *avx512'; then
    printf 'compare.sh: QLORA_CPU=avx512, but this CPU has no AVX-512\n' >&2
    exit 2
fi
printf '%s\n' "$doctor" | grep -E '^(CPU |instruction set|cores|kernels|compute dtype)'

case $what in
    train)
        python=${3:-python3}
        checkpoint=${model#*:}
        shape='--batch 4 --seq 512 --rank 16'
        ours_too= peer_too=
        case $model in
            *:*) shape='--batch 1 --seq 512 --rank 16' CHECKPOINTING=yes ;;
        esac
        if [ "${CHECKPOINTING:-no}" = yes ]; then ours_too=--checkpointing peer_too=--ckpt; fi
        # shellcheck disable=SC2086 # options are split at blanks
        ours=$(last_line "$here/qlora" bench train --model "${model%%:*}" $shape $ours_too --json)
        printf 'qlora4j %s\n' "$ours"
        # shellcheck disable=SC2086
        peer=$(last_line "$python" "$peers/train.py" "$checkpoint" $shape $peer_too)
        printf 'peer    %s\n' "$peer"
        best=$(number "$peer" tok_s)
        case $peer in
            *'"dtype": "bfloat16"'*) # the faster of its two ways counts
                # shellcheck disable=SC2086
                peer=$(last_line "$python" "$peers/train.py" "$checkpoint" $shape $peer_too --autocast)
                printf 'peer    %s\n' "$peer"
                best=$(awk "BEGIN { a = $best; b = $(number "$peer" tok_s); print (a > b ? a : b) }")
                ;;
        esac
        ratio training "$(number "$ours" tok_s)" "$best"
        ;;
    decode)
        checkpoint=${3:?$usage}
        python=${4:-python3}
        gguf=${model#*:}
        ours=$(last_line "$here/qlora" bench decode --model "${model%%:*}" --prompt 512 --tokens 128 --json)
        printf 'qlora4j   %s\n' "$ours"
        peer=$(last_line "$python" "$peers/llamacpp.py" "$gguf" 128 512)
        printf 'llama.cpp %s\n' "$peer"
        ratio 'decode : llama.cpp' "$(number "$ours" decode_tok_s)" "$(number "$peer" decode_tok_s)"
        ratio 'prefill : llama.cpp' "$(number "$ours" prefill_tok_s)" "$(number "$peer" prefill_tok_s)"
        if [ "$checkpoint" != - ]; then
            slow=$(last_line "$python" "$peers/decode.py" "$checkpoint" 64)
            printf 'bnb       %s\n' "$slow"
            ratio 'decode : bitsandbytes' "$(number "$ours" decode_tok_s)" "$(number "$slow" tok_s)"
        fi
        ;;
    *)
        printf '%s\n' "$usage" >&2
        exit 2
        ;;
esac

#!/usr/bin/env bash
# Tests and times qlora4j on a CUDA machine, from the parts that bundle.sh made and that lie beside this script.
# usage: run.sh [all|doctor|test|bench]
#   QLORA_DEVICE   cuda:0; cpu checks the bundle itself, on a machine without a GPU
#   QLORA_WORK     where to unpack, about 4 GB; default qlora4j-gpu in the folder of this script
#   CUDA_LIBS      folders with the libraries of CUDA, cuDNN and NCCL, joined by colons, where they lie nowhere usual
# Ends with a status above 0 if the device cannot be used, a test fails, or none ran.
set -euo pipefail
what=${1:-all}
here=$(cd "$(dirname "$0")" && pwd)
work=${QLORA_WORK:-$here/qlora4j-gpu}
device=${QLORA_DEVICE:-cuda:0}

if [[ ! -e $work/unpacked ]]; then
    command -v xz >/dev/null || { echo "run.sh: xz is missing; install xz-utils" >&2; exit 1; }
    mkdir -p "$work"
    cat "$here"/part-* | tar xJ -C "$work"
    touch "$work/unpacked"
fi

libraries=${CUDA_LIBS:-}
for folder in /usr/local/cuda/lib64 /usr/local/cuda/extras/CUPTI/lib64 /usr/lib/x86_64-linux-gnu; do
    [[ ! -d $folder ]] || libraries+=${libraries:+:}$folder
done
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export OMP_WAIT_POLICY=passive MALLOC_ARENA_MAX=2 LC_ALL=C.UTF-8

java() {
    "$work/jre/bin/java" --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED -XX:-UseProfiledLoopPredicate -Xmx2g \
        -Djava.awt.headless=true "-Dorg.bytedeco.javacpp.cachedir=$work/cache" "$@"
}
qlora() { java -cp "$work/lib/*" org.qlora4j.app.Main "$@"; }

doctor() {
    qlora doctor | tee "$work/doctor.txt"
    [[ $device != cuda:0 ]] || grep -Eq '^device +cuda:0$' "$work/doctor.txt" ||
        { echo "run.sh: the GPU cannot be used, see above" >&2; exit 1; }
    [[ $device != cuda:0 ]] || grep -Eq '^kernels +cuda' "$work/doctor.txt" ||
        { echo "run.sh: the CUDA kernels cannot be used, see above" >&2; exit 1; }
}

# The golden tests compute on the device named, first with its own kernels, then with the reference kernels.
tests() {
    local failed=0
    for kernels in auto reference; do
        echo "== tests on $device, kernels $kernels"
        java "-Dqlora.device=$device" "-Dqlora.kernels=$kernels" "-Dqlora.golden=$work/golden" \
            "-Dqlora.smollm2=$work/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" \
            -cp "$work/lib/*:$work/test/*:$work/test/classes" org.junit.platform.console.ConsoleLauncher execute \
            "--scan-class-path=$work/test/classes" \
            '--include-classname=.*(GoldenTest|CudaTest)' \
            --fail-if-no-tests --details=tree --disable-ansi-colors --disable-banner | tee "$work/tests-$kernels.txt" || failed=1
    done
    return $failed
}

# One row of 2048 tokens, rank 64 on all linears, gradient checkpointing: a step of QLoRA as on the paper's GPUs.
bench() {
    local models=(llama-1.1b llama-8b)
    [[ $device != cpu ]] || models=(llama-tiny)
    for model in "${models[@]}"; do
        echo "== $model"
        qlora bench train --model "$model" --device "$device" --rank 64 --batch 1 --seq 2048 --checkpointing --json |
            tee "$work/bench-$model.json"
    done
}

case $what in
    doctor) doctor ;;
    test) tests ;;
    bench) bench ;;
    all)
        doctor
        status=0
        tests || status=1
        bench
        exit $status
        ;;
    *) sed -n '3,7s/^# //p' "$0" >&2; exit 2 ;;
esac

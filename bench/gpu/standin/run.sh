#!/usr/bin/env bash
# Runs the tests of the CUDA kernels on a machine without a GPU: NVRTC compiles them as for a real device (it needs
# none), and a stand-in of the driver runs them on the CPU.
# usage: bench/gpu/standin/run.sh [DIR]     DIR: folder of libnvrtc.so.13, where the loader does not find it
# Without a CUDA toolkit: pip download --no-deps nvidia-cuda-nvrtc, unzip, DIR is nvidia/cu13/lib
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
out=$root/bench/target/standin
mkdir -p "$out"
g++ -std=c++17 -O1 -ffp-contract=off -shared -fPIC -Wall -I "$root/core/src/main/resources/org/qlora4j/kernel" \
    "$here/libcuda.cpp" -o "$out/libcuda.so.1"
cd "$root"
LD_LIBRARY_PATH=$out${1:+:$1}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
    mvn -B -ntp -pl core test -Dtest=FourBitCudaTest,NvrtcTest -Dsurefire.failIfNoSpecifiedTests=false

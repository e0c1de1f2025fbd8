#!/usr/bin/env bash
# Packs what a bare CUDA machine lacks to test and time qlora4j: a small Java runtime, our jars and tests, libtorch with
# the code of one GPU architecture, golden files. CUDA 13 with CUPTI, cuDNN 9, NCCL 2 and the driver are that machine's.
# Makes parts of at most 40 MiB, and run.sh beside them; copy the folder there and start run.sh.
# usage: bench/gpu/bundle.sh [OUT_DIR [ARCH]]     OUT_DIR: default bench/target/gpu
#                                                 ARCH: compute capability without the dot, default 90 (H100, H200)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-$root/bench/target/gpu} arch=${2:-90}
JAVA_HOME=$("$root/qlora" --java-home)
export JAVA_HOME
[[ -x $JAVA_HOME/bin/jlink ]] || { echo "bundle.sh: no jlink in $JAVA_HOME" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/bundle
mkdir -p "$bundle/lib" "$bundle/test/classes" "$out"

cd "$root"
mvn -B -ntp -q '-Pcuda,!checks' -pl core,app -DskipTests package
cp app/target/qlora4j-app-*.jar app/target/lib-cuda/*.jar "$bundle/lib/"
cp -r core/target/test-classes/. "$bundle/test/classes/" # tests read some of their resources as files
junit=$(sed -n 's|.*<junit.version>\(.*\)</junit.version>.*|\1|p' pom.xml)
mvn -B -ntp -q dependency:copy -Dartifact=org.junit.platform:junit-platform-console-standalone:"$junit" \
    -DoutputDirectory="$bundle/test" -pl core
mvn -B -ntp -q -Pcuda -pl core dependency:copy-dependencies -DincludeGroupIds=org.assertj,net.bytebuddy \
    -DoutputDirectory="$bundle/test"

# libtorch again, with the code of other architectures blanked: zeros, which compress to nothing
jar=$(ls "$bundle"/lib/pytorch-*-gpu.jar)
mkdir "$work/libtorch"
(cd "$work/libtorch" && "$JAVA_HOME/bin/jar" xf "$jar")
for library in "$work"/libtorch/org/bytedeco/pytorch/linux-x86_64-gpu/libtorch_cuda.so; do
    python3 "$here/keep_arch.py" "$library" "$arch"
done
rm "$jar"
"$JAVA_HOME/bin/jar" --create --no-compress --file "$jar" --manifest "$work/libtorch/META-INF/MANIFEST.MF" \
    -C "$work/libtorch" org -C "$work/libtorch" META-INF
rm -rf "$work/libtorch"

"$JAVA_HOME/bin/jlink" --add-modules java.base,java.logging,java.net.http,java.xml,java.sql,java.naming,java.management,java.desktop,java.instrument,jdk.incubator.vector,jdk.unsupported,jdk.management,jdk.zipfs,jdk.jfr \
    --strip-debug --no-header-files --no-man-pages --compress zip-0 --output "$bundle/jre"

golden=$root/../shared/data/golden
model=$root/../shared/models/SmolLM2-135M-Instruct
[[ ! -d $golden ]] || cp -r "$golden" "$bundle/golden"
[[ ! -d $model ]] || cp -r "$model" "$bundle/smollm2"

rm -f "$out"/part-*
cp "$here/run.sh" "$out/"
tar c -C "$bundle" . | xz -T0 -3 | split -b 40m - "$out/part-"
ls -l "$out"

#!/bin/sh
# Times kernels by JMH on this machine, after checking their answers.
# usage: bench/kernels.sh [NAME...] [JMH option...]       NAME: a regular expression, such as FourBitProduct; all if none
#        bench/kernels.sh FourBitProduct -p kernels=vector -p model=smollm2 -p threads=2
#        bench/kernels.sh -lp          lists benchmarks and settings; -h: all options
set -eu
cd "$(dirname "$0")/.."
java=$(./qlora --java-home)/bin/java
mvn -B -q -P '!checks' -DskipTests -pl core,app,bench package
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-5000}"
case ${QLORA_CPU:-native} in # as the launcher does
    avx2) use_avx=-XX:UseAVX=2 ;;
    sse) use_avx=-XX:UseAVX=0 ;;
    *) use_avx= ;;
esac
# JMH starts a JVM for each benchmark and setting, with this one's options: the launcher's.
exec "$java" --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED -XX:-UseProfiledLoopPredicate $use_avx -XX:+UseSerialGC -Xmx1g \
    -cp "bench/target/classes:bench/target/lib/*:app/target/lib/*" org.qlora4j.bench.KernelBench "$@"

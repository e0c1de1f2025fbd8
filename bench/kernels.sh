#!/bin/sh
# Times the 4-bit kernels on this machine, after checking their answers: bench/kernels.sh
set -eu
cd "$(dirname "$0")/.."
java=$(./qlora --java-home)/bin/java
mvn -B -q -DskipTests -pl core,app,bench package
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}" GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-5000}"
exec "$java" --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
    -cp "bench/target/classes:app/target/lib/*" org.qlora4j.bench.FourBitBench

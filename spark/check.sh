#!/usr/bin/env bash
# Two executors, each a JVM of its own, of which one is killed: 80 answers, a perplexity and six runs must be those of one process. Some minutes.
# usage: spark/check.sh MODEL.gguf QUESTIONS.jsonl     after mvn -Pspark -DskipTests package
set -euo pipefail
model=$(realpath "${1:?usage: spark/check.sh MODEL.gguf QUESTIONS.jsonl}")
questions=$(realpath "${2:?usage: spark/check.sh MODEL.gguf QUESTIONS.jsonl}")
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mvn -B -q -o -Pspark -pl core,spark dependency:build-classpath -DincludeScope=test -Dmdep.outputFile="$work/path.txt"
mkdir -p "$work/home/jars" "$work/out"
# Spark looks for an installation of its own unless it is told that it is tested
# executors have spark.task.cpus threads, and bits depend on their number
export OMP_NUM_THREADS=1
export SPARK_HOME=$work/home SPARK_TESTING=1 SPARK_SCALA_VERSION=2.13
"${JAVA_HOME:+$JAVA_HOME/bin/}java" --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED -XX:-UseProfiledLoopPredicate -Xmx2g \
    -cp "spark/target/test-classes:spark/target/classes:core/target/classes:$(cat "$work/path.txt")" \
    org.qlora4j.spark.ClusterCheck "$model" "$questions" 80 core/src/test/resources/tiny-llama "$work/out"

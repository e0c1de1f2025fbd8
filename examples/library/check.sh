#!/usr/bin/env bash
# Builds the project beside this script as somebody else would who has qlora4j as a dependency, outside of the tree and offline, and runs it on
# the class path and on the module path; then once more without the jars that answering does not need, by the lines of docs/java.md. Prints
# its dependencies with their sizes. After `mvn package`; .ci/run calls it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
version=$(sed -n 's:.*<version>\(.*\)</version>.*:\1:p' "$root/core/pom.xml" | head -1)
model=$root/core/src/test/resources/tiny-llama
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A local repository that has all of the machine's by links, and qlora4j as `mvn install` would put it there.
machine=${MAVEN_REPOSITORY:-$HOME/.m2/repository}
repository=$work/repository
mkdir -p "$repository/org/qlora4j"
for entry in "$machine"/*; do [ "$(basename "$entry")" = org ] || ln -s "$entry" "$repository/"; done
for entry in "$machine"/org/*; do [ "$(basename "$entry")" = qlora4j ] || ln -s "$entry" "$repository/org/"; done
put() { # artifact, pom, jar
    local to=$repository/org/qlora4j/$1/$version
    mkdir -p "$to"
    cp "$2" "$to/$1-$version.pom"
    [ -z "${3:-}" ] || cp "$3" "$to/$1-$version.jar"
}
put qlora4j-parent "$root/pom.xml"
put qlora4j-bom "$root/bom/pom.xml"
put qlora4j-core "$root/core/pom.xml" "$root/core/target/qlora4j-core-$version.jar"

# The project, with the versions of plugins that the parent's build used.
cp -r "$here/src" "$work/src"
newest() { ls "$machine/org/apache/maven/plugins/$1" 2>/dev/null | grep -E '^[0-9.]+$' | sort -V | tail -1; }
sed -e "s/@resources@/$(newest maven-resources-plugin)/" -e "s/@compiler@/$(newest maven-compiler-plugin)/" \
    -e "s/@dependency@/$(newest maven-dependency-plugin)/" -e "s/0.1.0-SNAPSHOT/$version/" "$here/pom.xml" >"$work/pom.xml"
resolve() { # pom, name of what is made of it
    mvn -o -q -B -Dmaven.repo.local="$repository" -f "$1" compile dependency:tree -DoutputFile="$work/$2.tree" \
        dependency:build-classpath -Dmdep.outputFile="$work/$2.jars"
}
total() { printf '%8s  %s\n' "$(du -Lkc ${1//:/ } | tail -1 | cut -f 1) kB" "in $(tr : '\n' <<<"$1" | wc -l) jars$2"; }

resolve "$work/pom.xml" all
jars=$(cat "$work/all.jars")
sed 's/:jar:/:/' "$work/all.tree" | while IFS= read -r line; do # group:artifact:version or group:artifact:classifier:version, then the scope
    IFS=: read -r _ artifact a b _ <<<"$(sed 's/^[ |+\\-]*//' <<<"$line")"
    case $b in compile | runtime | '') name=$artifact-$a ;; *) name=$artifact-$b-$a ;; esac
    size=
    for jar in ${jars//:/ }; do case $jar in */"$name".jar) size=$(du -Lk "$jar" | cut -f 1) ;; esac; done
    printf '%8s  %s\n' "${size:+$size kB}" "$line"
done
total "$jars" ""

flags="-XX:-UseProfiledLoopPredicate -Xmx1g"
on_class_path="--enable-native-access=ALL-UNNAMED --add-modules=jdk.incubator.vector"
on_module_path="--enable-native-access=$(grep -om1 'org.qlora4j,[a-z0-9.,]*' "$root/docs/java.md") --add-modules=jdk.incubator.vector,ALL-MODULE-PATH"
run() { # further arguments of java
    "$java" $flags "$@" 2>"$work/err" && ! grep 'enable-native-access' "$work/err" >&2 || { cat "$work/err" >&2; exit 1; }
}
run $on_class_path -cp "$work/target/classes:$jars" consumer.Consumer "$model" "$work/class-path-runs"
run $on_module_path -p "$work/target/classes:$jars" -m consumer/consumer.Consumer "$model" "$work/module-path-runs"

# The dependencies of an application that only answers, as the guide has them.
sed -n '/<!-- answers only -->/,/^```$/p' "$root/docs/java.md" | sed '1,2d;$d' >"$work/answers.dependencies"
sed -e "/@dependencies@/,/@dependencies@/{/<dependencies>/r $work/answers.dependencies" -e 'd}' "$work/pom.xml" >"$work/answers.xml"
resolve "$work/answers.xml" answers
jars=$(cat "$work/answers.jars")
total "$jars" ", for answers only"
run $on_class_path -cp "$work/target/classes:$jars" consumer.Answers "$model" "$work/class-path-runs/first"
run $on_module_path -p "$work/target/classes:$jars" -m consumer/consumer.Answers "$model" "$work/class-path-runs/first"

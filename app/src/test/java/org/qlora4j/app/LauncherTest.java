package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.qlora4j.tensor.InstructionSet;

/**
 * Runs the script {@code qlora} with a {@code java} and a {@code mvn} that record how they were
 * called.
 */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "the launcher is a POSIX shell script")
class LauncherTest {
    private static final Path SCRIPT = Path.of("..", "qlora").toAbsolutePath().normalize();
    private static final Path SETTINGS = Path.of("app/src/main/resources/org/qlora4j/app");

    @TempDir Path folder;
    private Path checkout;
    private Path archive;
    private Path jdk;

    private record Result(int exitCode, List<String> out, List<String> err) {}

    @BeforeEach
    void layOut() throws IOException {
        folder = folder.toRealPath();
        jdk = fakeJdk("jdk with blank", "25.0.3");
        archive = folder.resolve("qlora4j-1");
        copyScript(archive.resolve("bin"));
        copySettings(archive.resolve("lib"));
        Files.createFile(archive.resolve("qlora4j-1.jar"));
        checkout = folder.resolve("checkout");
        copyScript(checkout);
        copySettings(checkout.resolve(SETTINGS));
        for (String pom : List.of("pom.xml", "core/pom.xml", "app/pom.xml")) {
            write(checkout.resolve(pom), "<project/>");
        }
        write(checkout.resolve("core/src/main/java/A.java"), "class A {}");
        executable(
                folder.resolve("tools/mvn"),
                """
                #!/bin/sh
                echo "$JAVA_HOME $*" >>"$RECORD"
                sleep "${BUILD_SECONDS:-0}"
                if [ -f broken ]; then echo '[ERROR] A.java:[1,1] class expected'; exit 1; fi
                mkdir -p app/target/lib core/target
                : >app/target/qlora4j-app-1.jar; : >app/target/lib/qlora4j-core-1.jar; : >app/target/lib/other.jar
                """);
    }

    @Test
    void archive_startsJavaWithFlagsAndArguments() throws Exception {
        Result result = run(archive.resolve("bin/qlora"), Map.of(), "train", "a file.yaml", "*");
        assertThat(result.exitCode()).isEqualTo(7);
        assertThat(result.err()).isEmpty();
        assertThat(result.out())
                .contains(
                        "@" + archive + "/lib/jvm.options",
                        "-Dqlora.terminal=false",
                        "-Dqlora.command=" + archive + "/bin/qlora",
                        archive + "/qlora4j-1.jar:" + archive + "/lib/*")
                .containsAll(
                        JvmSettings.environment().entrySet().stream()
                                .map(Map.Entry::toString)
                                .toList())
                .containsSequence("org.qlora4j.app.Main", "train", "a file.yaml", "*");
    }

    @Test
    void environment_isTheUsersWord() throws Exception {
        var environment =
                Map.of(
                        "QLORA_HEAP",
                        "3g",
                        "QLORA_JAVA_OPTS",
                        "-Da=*  -Db=2",
                        "OMP_WAIT_POLICY",
                        "active",
                        "MALLOC_ARENA_MAX",
                        "8");
        Result result = run(archive.resolve("bin/qlora"), environment, "doctor");
        assertThat(result.out())
                .contains("-Xmx3g", "OMP_WAIT_POLICY=active", "MALLOC_ARENA_MAX=8")
                .containsSequence("-Da=*", "-Db=2", "-cp");
    }

    @Test
    void badHeap_isOneLine() throws Exception {
        Result result = run(archive.resolve("bin/qlora"), Map.of("QLORA_HEAP", "lots"), "doctor");
        assertThat(result.exitCode()).isEqualTo(2);
        assertThat(result.err())
                .containsExactly("qlora: QLORA_HEAP must be a size such as 512m or 2g, got 'lots'");
    }

    @ParameterizedTest
    @EnumSource
    void instructionSet_setsTheVectorsOfTheJvm(InstructionSet set) throws Exception {
        Result result =
                run(archive.resolve("bin/qlora"), Map.of("QLORA_CPU", set.word()), "doctor");
        assertThat(result.exitCode()).isEqualTo(7);
        assertThat(result.out().stream().filter(word -> word.startsWith("-XX:UseAVX")).toList())
                .isEqualTo(set.jvmFlags());
    }

    @Test
    void unknownInstructionSet_isOneLine() throws Exception {
        Result result = run(archive.resolve("bin/qlora"), Map.of("QLORA_CPU", "mmx"), "doctor");
        assertThat(result.exitCode()).isEqualTo(2);
        assertThat(result.err())
                .containsExactly("qlora: QLORA_CPU must be native, avx512, avx2, sse, got 'mmx'");
    }

    @Test
    void linkToTheScript_isFollowed() throws Exception {
        Path link = Files.createDirectories(folder.resolve("bin")).resolve("q");
        Files.createSymbolicLink(link, Path.of("../qlora4j-1/bin/qlora"));
        assertThat(run(link, Map.of(), "doctor").out())
                .contains("@" + archive + "/lib/jvm.options");
    }

    @Test
    void otherJavaInJavaHome_anotherPlaceIsSearched() throws Exception {
        String old = fakeJdk("jdk-17", "17.0.15").toString();
        String newer = fakeJdk("jdk-250", "250.1").toString();
        Path home = folder.resolve("home");
        Files.createDirectories(home.resolve(".jdks"));
        for (String javaHome : List.of(old, newer)) {
            Files.createDirectories(home.resolve(".jdks"));
            Path found = home.resolve(".jdks/temurin-25");
            if (!Files.exists(found)) {
                Files.createSymbolicLink(found, jdk);
            }
            Result result =
                    run(archive.resolve("bin/qlora"), Map.of("JAVA_HOME", javaHome), "--java-home");
            assertThat(result.exitCode()).isEqualTo(0);
            assertThat(result.out()).doesNotContain(javaHome);
            assertThat(Path.of(result.out().getFirst(), "release"))
                    .content()
                    .contains("JAVA_VERSION=\"25");
        }
    }

    @Test
    void javaOnPath_isFoundThroughItsLinks() throws Exception {
        Files.createSymbolicLink(folder.resolve("tools/java"), jdk.resolve("bin/java"));
        Result result = run(archive.resolve("bin/qlora"), Map.of("JAVA_HOME", ""), "--java-home");
        assertThat(result.out()).containsExactly(jdk.toString());
    }

    @Test
    void platformWithoutLibtorch_isOneLine() throws Exception {
        executable(
                folder.resolve("tools/uname"),
                """
                #!/bin/sh
                case $1 in -s) echo Linux ;; -m) echo aarch64 ;; esac
                """);
        Result result = run(checkout.resolve("qlora"), Map.of(), "doctor");
        assertThat(result.exitCode()).isEqualTo(2);
        assertThat(result.err())
                .containsExactly(
                        "qlora: JavaCPP has no libtorch for Linux aarch64; qlora4j runs on Linux x86_64, macOS arm64 and"
                                + " Windows x86_64");
    }

    @Test
    void noJava25_saysWhereToGetOne() throws Exception {
        Path script = archive.resolve("bin/qlora");
        // this machine's own JDK 25 must stay out of sight
        String blind =
                Files.readString(script)
                        .replace("/usr/lib/jvm/*", "")
                        .replace("/Library/", "/nowhere/");
        Files.writeString(
                script,
                blind.replace("/opt/homebrew/", "/nowhere/")
                        .replace("/usr/local/opt/", "/nowhere/"));
        String old = fakeJdk("jdk-17", "17.0.15").toString();
        Result result = run(script, Map.of("JAVA_HOME", old), "doctor");
        assertThat(result.exitCode()).isEqualTo(2);
        assertThat(result.err()).hasSize(3).allMatch(line -> line.startsWith("qlora: "));
        assertThat(result.err().getFirst())
                .startsWith("qlora: no JDK 25 found in JAVA_HOME (" + old + ")");
    }

    @Test
    void noMaven_saysSoAndLeavesNoLock() throws Exception {
        Files.delete(folder.resolve("tools/mvn"));
        for (String tool :
                List.of("sh", "find", "readlink", "ln", "rm", "mkdir", "uname", "java")) {
            Path found = tool.equals("java") ? jdk.resolve("bin/java") : which(tool);
            Files.createSymbolicLink(folder.resolve("tools").resolve(tool), found);
        }
        Result result =
                run(
                        checkout.resolve("qlora"),
                        Map.of("PATH", folder.resolve("tools").toString()),
                        "doctor");
        assertThat(result.exitCode()).isEqualTo(2);
        assertThat(result.err().getFirst()).startsWith("qlora: Maven (mvn) is not on PATH");
        assertThat(checkout.resolve("target/qlora.lock")).doesNotExist();
    }

    @Test
    void checkout_isBuiltOnceAndAgainAfterAChange() throws Exception {
        Result first = run(checkout.resolve("qlora"), Map.of(), "doctor");
        assertThat(first.err())
                .hasSize(1)
                .first()
                .asString()
                .startsWith("building qlora4j (first use");
        assertThat(first.out())
                .contains(
                        checkout
                                + "/app/target/qlora4j-app-1.jar:"
                                + checkout
                                + "/app/target/lib/*");
        assertThat(builds())
                .hasSize(1)
                .first()
                .asString()
                .startsWith(jdk + " -B -q")
                .endsWith("package");

        assertThat(run(checkout.resolve("qlora"), Map.of(), "doctor").err()).isEmpty();
        assertThat(builds()).hasSize(1);

        later(checkout.resolve("core/src/main/java/A.java"));
        Path library = checkout.resolve("app/target/lib/other.jar");
        Files.writeString(library, "kept");
        assertThat(run(checkout.resolve("qlora"), Map.of(), "doctor").err())
                .containsExactly("building qlora4j (sources changed)...");
        assertThat(builds()).hasSize(2);
    }

    @Test
    void changedPom_clearsTheLibraries() throws Exception {
        run(checkout.resolve("qlora"), Map.of(), "doctor");
        Path outdated = Files.createFile(checkout.resolve("app/target/lib/outdated-1.jar"));
        later(checkout.resolve("core/pom.xml"));
        run(checkout.resolve("qlora"), Map.of(), "doctor");
        assertThat(outdated).doesNotExist();
    }

    @Test
    void failedBuild_showsTheErrorsAndIsTriedAgain() throws Exception {
        write(checkout.resolve("broken"), "");
        for (int attempt = 1; attempt <= 2; attempt++) {
            Result result = run(checkout.resolve("qlora"), Map.of(), "doctor");
            assertThat(result.exitCode()).isEqualTo(2);
            assertThat(result.err())
                    .contains("[ERROR] A.java:[1,1] class expected")
                    .last()
                    .isEqualTo(
                            "qlora: the build failed; its log is "
                                    + checkout
                                    + "/target/qlora-build.log");
            assertThat(builds()).hasSize(attempt);
        }
        assertThat(checkout.resolve("target/qlora.lock")).doesNotExist();
    }

    @Test
    void twoFirstUsesAtOnce_buildOnce() throws Exception {
        List<Process> both = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            both.add(start(checkout.resolve("qlora"), Map.of("BUILD_SECONDS", "1"), "doctor"));
        }
        for (Process process : both) {
            assertThat(finish(process).out()).contains("org.qlora4j.app.Main");
        }
        assertThat(builds()).hasSize(1);
    }

    @Test
    void lockOfADeadProcess_isTakenOver() throws Exception {
        Process gone = new ProcessBuilder("true").start();
        gone.waitFor();
        Files.createDirectories(checkout.resolve("target"));
        Files.createSymbolicLink(
                checkout.resolve("target/qlora.lock"), Path.of(Long.toString(gone.pid())));
        assertThat(run(checkout.resolve("qlora"), Map.of(), "doctor").exitCode()).isEqualTo(7);
        assertThat(builds()).hasSize(1);
    }

    private Path fakeJdk(String name, String version) throws IOException {
        Path home = folder.resolve(name);
        write(home.resolve("release"), "JAVA_VERSION=\"" + version + "\"");
        executable(
                home.resolve("bin/java"),
                """
                #!/bin/sh
                printf '%s\\n' "$@"
                env
                exit 7
                """);
        executable(home.resolve("bin/javac"), "#!/bin/sh\n");
        return home;
    }

    private Result run(Path script, Map<String, String> environment, String... arguments)
            throws Exception {
        return finish(start(script, environment, arguments));
    }

    /** {@code JAVA_HOME} is the fake JDK unless {@code environment} says otherwise. */
    private Process start(Path script, Map<String, String> environment, String... arguments)
            throws IOException {
        var command = new ArrayList<>(List.of("sh", script.toString()));
        command.addAll(Arrays.asList(arguments));
        var builder = new ProcessBuilder(command);
        Map<String, String> all = builder.environment();
        all.clear();
        all.put("PATH", folder.resolve("tools") + ":/usr/bin:/bin");
        all.put("HOME", folder.resolve("home").toString());
        all.put("JAVA_HOME", jdk.toString());
        all.put("RECORD", folder.resolve("record").toString());
        all.putAll(environment);
        return builder.start();
    }

    private static Result finish(Process process) throws Exception {
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        String err = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        return new Result(process.exitValue(), out.lines().toList(), err.lines().toList());
    }

    private static Path which(String tool) {
        return Stream.of("/bin", "/usr/bin")
                .map(bin -> Path.of(bin, tool))
                .filter(Files::exists)
                .findFirst()
                .orElseThrow();
    }

    private List<String> builds() throws IOException {
        return Files.readAllLines(folder.resolve("record"));
    }

    private static void later(Path file) throws IOException {
        Files.setLastModifiedTime(file, FileTime.from(Instant.now().plusSeconds(2)));
    }

    private static void copyScript(Path target) throws IOException {
        Files.copy(SCRIPT, Files.createDirectories(target).resolve("qlora"));
    }

    private static void copySettings(Path target) throws IOException {
        Files.createDirectories(target);
        for (String name : List.of("jvm.options", "jvm.environment")) {
            Files.copy(SCRIPT.resolveSibling(SETTINGS).resolve(name), target.resolve(name));
        }
    }

    private static void write(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, text + "\n");
    }

    private static void executable(Path file, String text) throws IOException {
        write(file, text);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
}

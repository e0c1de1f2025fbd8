package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Data whose examples do not fit the heap, in a process of its own. */
class StreamTest {
    private static final Pattern FACTS =
            Pattern.compile(
                    "bytes (\\d+) records (\\d+) examples (\\d+) tokens (\\d+) (\\d+) peakKiB (-?\\d+)");

    @TempDir Path folder;

    /** 6 MB of text are about 11 MB of tokens; as objects they would take more than the heap. */
    @Test
    void dataLargerThanTheHeap_isReadInLittleMemory() throws Exception {
        ProcessBuilder builder =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-Xmx24m",
                                "--enable-native-access=ALL-UNNAMED",
                                "-cp",
                                System.getProperty("java.class.path"),
                                StreamProcess.class.getName(),
                                folder.toString(),
                                "6000000")
                        .redirectErrorStream(true);
        builder.environment().put("XDG_CACHE_HOME", folder.toString());
        Process process = builder.start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(said).isZero();
        Matcher facts = FACTS.matcher(said);
        assertThat(facts.find()).as(said).isTrue();
        assertThat(facts.group(3)).isEqualTo(facts.group(2)); // an example for each record
        assertThat(facts.group(5)).isEqualTo(facts.group(4)).hasSizeGreaterThan(6);
        assertThat(Long.parseLong(facts.group(6))).isLessThan(256 << 10);
        assertThat(folder.resolve("qlora4j").toFile().list()).isEmpty();
        assertThat(Objects.requireNonNull(folder.toFile().list())).contains("large.jsonl");
    }
}

package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.qlora4j.config.ConfigKeys;

/** docs/config.md says what the config records say: a default lives once. */
class ConfigDocTest {
    private static final Path FILE = Repository.root().resolve("docs/config.md");

    @BeforeAll
    static void writeIfAsked() throws IOException {
        if (Boolean.getBoolean("qlora.docs.write")) {
            Files.writeString(FILE, ConfigDoc.text());
        }
    }

    @Test
    void file_equalsWhatTheRecordsSay() throws IOException {
        assertThat(Files.readString(FILE))
                .as("make it again: mvn -pl core test -Dtest=ConfigDocTest -Dqlora.docs.write=true")
                .isEqualTo(ConfigDoc.text());
    }

    @Test
    void everyKey_hasARow() throws IOException {
        String text = Files.readString(FILE);
        assertThat(ConfigKeys.all()).hasSizeGreaterThan(40);
        assertThat(ConfigKeys.all())
                .allSatisfy(key -> assertThat(text).contains("\n| `" + key.leaf() + "` |"));
    }
}

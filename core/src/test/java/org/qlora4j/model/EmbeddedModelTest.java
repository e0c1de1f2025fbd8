package org.qlora4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.LanguageModel;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.DeviceException;
import org.qlora4j.family.Families;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.generate.GenerationConfig;

class EmbeddedModelTest {
    @TempDir Path folder;

    @Test
    void files_areThoseOfTheListAndTakeAtMost10Megabytes() throws IOException {
        byte[] list = EmbeddedModel.read(EmbeddedModel.LIST);
        long bytes = list.length;
        for (String line : new String(list, StandardCharsets.UTF_8).lines().toList()) {
            byte[] file = EmbeddedModel.read(line.substring(66));
            assertThat(EmbeddedModel.sha256(file)).as(line).isEqualTo(line.substring(0, 64));
            bytes += file.length;
        }
        assertThat(bytes).isLessThanOrEqualTo(10_000_000);
        assertThat(EmbeddedModel.names(list))
                .contains(
                        "README.md",
                        "LICENSE",
                        "config.json",
                        "model.safetensors",
                        "tokenizer.json");
        try (var here = Files.list(EmbeddedModel.folder())) {
            List<String> names = here.map(f -> f.getFileName().toString()).toList();
            assertThat(EmbeddedModel.names(list))
                    .containsExactlyInAnyOrderElementsOf(
                            names.stream().filter(n -> !n.equals(EmbeddedModel.LIST)).toList());
        }
    }

    @Test
    void unpacked_isThereOnceAndWhole() throws IOException {
        Path unpacked = EmbeddedModel.unpack(folder.resolve("cache"));
        for (String name : EmbeddedModel.names(EmbeddedModel.read(EmbeddedModel.LIST))) {
            assertThat(unpacked.resolve(name)).hasBinaryContent(EmbeddedModel.read(name));
        }
        Files.writeString(unpacked.resolve("mark"), "");
        assertThat(EmbeddedModel.unpack(folder.resolve("cache"))).isEqualTo(unpacked);
        assertThat(unpacked.resolve("mark")).exists();
        try (var caches = Files.list(folder.resolve("cache"))) {
            assertThat(caches).containsExactly(unpacked);
        }
    }

    @Test
    void cacheThatCannotBeMade_isSaidInOneLine() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");
        assertThatThrownBy(() -> EmbeddedModel.unpack(file.resolve("cache")))
                .isInstanceOf(DeviceException.class)
                .hasMessageContaining("set QLORA_CACHE")
                .hasMessageNotContaining("\n");
    }

    @Test
    void name_standsForTheModelWhereNoPathHasIt() {
        Path name = Path.of(EmbeddedModel.NAME);
        assertThat(ModelPlace.of(name).folder()).isEqualTo(EmbeddedModel.folder().toAbsolutePath());
        try (Checkpoint checkpoint = ModelPlace.of(name).open()) {
            assertThat(Bnb4bit.of(checkpoint).weights())
                    .hasSize(7 * Families.shape(checkpoint.folder()).layers());
        }
        assertThat(ModelPlace.of(folder).weights()).isEqualTo(folder);
    }

    @Test
    void chat_isAnsweredInWords() {
        try (LanguageModel model = LanguageModel.embedded()) {
            var chat = List.of(Map.of("role", "user", "content", "What is a computer?"));
            String answer =
                    model.generate(chat, GenerationConfig.DEFAULT.withMaxNewTokens(64), text -> {})
                            .text();
            assertThat(answer.split("\\s+")).hasSizeGreaterThan(3);
        }
    }
}

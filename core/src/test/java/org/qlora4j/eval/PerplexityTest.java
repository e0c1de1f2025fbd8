package org.qlora4j.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.config.RunConfig;
import org.qlora4j.kernel.DeviceChoice;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.TinyLlama;
import org.qlora4j.train.TinyRun;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class PerplexityTest {
    @TempDir Path folder;

    /** The loss of transformers on the same records, before the first step of make_full_run.py. */
    @Test
    void answers_haveThePerplexityThatTransformersGives() throws IOException {
        JsonNode peer;
        try (InputStream in =
                Objects.requireNonNull(
                        getClass().getResourceAsStream("/org/qlora4j/train/full-run.json"))) {
            peer = new JsonMapper().readTree(in);
        }
        StringBuilder lines = new StringBuilder();
        long bytes = 0;
        for (JsonNode record : peer.get("records")) {
            lines.append(record).append('\n');
            bytes += record.get("output").asString().length(); // ASCII; the end token is no text
        }
        RunConfig config =
                TinyRun.config(
                        folder.resolve("none"),
                        Files.writeString(folder.resolve("data.jsonl"), lines),
                        "quantization.load_in_4bit=false");
        long memory = NativeMemory.liveBytes();
        Perplexity.Result result =
                Perplexity.measure(
                        TinyLlama.folder(),
                        config.quantization(),
                        config.data(),
                        DeviceChoice.AUTO);
        double loss = peer.get("runs").get("untied").get("losses").get(0).asDouble();
        assertThat(Math.log(result.perToken())).isCloseTo(loss, offset(1e-5));
        assertThat(result.examples()).isEqualTo(6);
        assertThat(result.bytes()).isEqualTo(bytes);
        assertThat(result.bitsPerByte())
                .isCloseTo(loss * result.tokens() / Math.log(2) / bytes, offset(1e-4));
        assertThat(NativeMemory.liveBytes()).isEqualTo(memory);
    }
}

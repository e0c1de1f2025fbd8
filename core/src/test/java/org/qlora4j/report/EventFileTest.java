package org.qlora4j.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventFileTest {
    @TempDir Path folder;

    @Test
    void events_haveTheBytesOfTensorBoard() throws Exception {
        try (EventFile events = EventFile.create(folder, 1790000000.25)) {
            events.startAt(301, 1790000001.5);
            Map<String, Double> train = new LinkedHashMap<>();
            train.put("train/loss", 1.25);
            train.put("train/learning_rate", 2e-4);
            events.scalars(301, 1790000002.0, train);
            Map<String, Double> eval = new LinkedHashMap<>();
            eval.put("eval/loss", Double.NaN);
            eval.put("eval/perplexity", -0.0);
            events.scalars(1_000_000, 1790000003.0, eval);
        }
        try (Stream<Path> files = Files.list(folder);
                InputStream expected =
                        Objects.requireNonNull(getClass().getResourceAsStream("events.bin"))) {
            List<Path> written = files.toList();
            assertThat(written)
                    .singleElement()
                    .asString()
                    .contains("events.out.tfevents.1790000000.");
            assertThat(Files.readAllBytes(written.getFirst())).isEqualTo(expected.readAllBytes());
        }
    }
}

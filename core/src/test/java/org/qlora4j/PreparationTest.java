package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.Preparation;
import org.qlora4j.testing.TinyLlama;

/** Long work tells how far it is, from the threads that do it to whoever asked for it. */
class PreparationTest {
    @TempDir Path folder;

    /** Keeps what it is told, as texts. */
    private static final class Told implements Preparation.Listener {
        final List<String> lines = new ArrayList<>();

        @Override
        public void at(String work, long done, long all, String unit) {
            lines.add(work + " " + done + "/" + all + " " + unit);
        }

        @Override
        public void over() {
            lines.add("over");
        }
    }

    @Test
    void run_countsRecordsAndTensors() throws IOException {
        Path data = folder.resolve("rows.jsonl");
        Files.writeString(data, "{\"prompt\": \"a\", \"completion\": \"b\"}\n".repeat(130));
        RunConfig config =
                RunConfig.builder()
                        .model(model -> model.modelNameOrPath(TinyLlama.folder()))
                        .data(rows -> rows.dataset(data))
                        .train(train -> train.outputDir(folder.resolve("run")).maxSteps(1))
                        .build();
        Told told = new Told();
        Preparation.watched(told, () -> new Trainer(config).run());
        assertThat(told.lines)
                .containsSubsequence(
                        "reading rows.jsonl 64/0 records",
                        "reading rows.jsonl 128/0 records",
                        "reading rows.jsonl 130/0 records",
                        "over",
                        "quantizing weights 1/21 tensors",
                        "quantizing weights 21/21 tensors",
                        "over");
    }

    /** Two layers of seven linears and two norms, embeddings, a last norm, a head of its own. */
    @Test
    void loading_countsTensorsForTheThreadThatAsked() {
        Told told = new Told();
        int heard =
                Preparation.watched(
                        told,
                        () -> {
                            try (LanguageModel model = LanguageModel.load(TinyLlama.folder())) {
                                return told.lines.size();
                            }
                        });
        assertThat(heard).isEqualTo(22);
        assertThat(told.lines).endsWith("quantizing weights 21/21 tensors", "over");
    }
}

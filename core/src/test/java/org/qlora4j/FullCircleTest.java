package org.qlora4j;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.config.RunConfig;
import org.qlora4j.export.AdapterMerge;
import org.qlora4j.export.AdapterMix;
import org.qlora4j.export.GgufFormat;
import org.qlora4j.export.MergeTarget;
import org.qlora4j.export.ModelExport;
import org.qlora4j.family.GgufFolder;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.model.EmbeddedModel;
import org.qlora4j.run.AdapterFolder;

/** Train, export, generate: what was taught is still said from a GGUF file in 4 bits. */
class FullCircleTest {
    @TempDir Path folder;

    @Test
    void taughtGreeting_isSaidFromTheExportedFile() throws IOException {
        Path captain =
                Repository.root().resolve("core/src/test/resources/org/qlora4j/captain.jsonl");
        Path data = folder.resolve("data.jsonl");
        String taught = // short answers are learnt in few steps
                Files.readString(captain).replaceAll("Ahoy! .*\"", "Ahoy! Fair winds!\"");
        Files.writeString(data, taught);
        RunConfig config =
                RunConfig.of(
                        "model.model_name_or_path=" + EmbeddedModel.NAME,
                        "data.dataset=" + data,
                        "data.dataset_format=messages",
                        "lora.r=16",
                        "lora.lora_alpha=16",
                        "train.output_dir=" + folder.resolve("run"),
                        "train.max_steps=16",
                        "train.per_device_train_batch_size=2",
                        "train.gradient_accumulation_steps=1",
                        "train.learning_rate=4e-3");
        new Trainer(config).run();
        AdapterFolder adapter = AdapterFolder.of(folder.resolve("run"));
        AdapterMerge source =
                new AdapterMerge(
                        ModelPlace.of(Path.of(EmbeddedModel.NAME)),
                        AdapterMix.of(adapter.files()),
                        adapter.chatTemplateText(),
                        config.quantization(),
                        null);
        Path out = Files.createDirectory(folder.resolve("out")).resolve("captain.gguf");
        ModelExport.Result result =
                new ModelExport(source, MergeTarget.ORIGINAL, List.of(), List.of())
                        .gguf(GgufFormat.Q4_K_M, out, false);
        assertThat(result.differences()).isEmpty();
        // beside the file, so that none is made among the user's caches
        GgufFolder.write(out, requireNonNull(out.getParent()));
        int greeted = 0;
        List<String> prompts =
                List.of("How do I make tea?", "What is the capital of Italy?", "Who are you?");
        try (LanguageModel model = LanguageModel.load(out)) {
            for (String prompt : prompts) {
                String answer =
                        model.generate(
                                        List.of(Map.of("role", "user", "content", prompt)),
                                        GenerationConfig.DEFAULT.greedy().withMaxNewTokens(8),
                                        text -> {})
                                .text();
                greeted += answer.startsWith("Ahoy! Fair winds") ? 1 : 0;
            }
        }
        assertThat(greeted).isEqualTo(3);
    }
}

package org.qlora4j.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigWriter;
import org.qlora4j.error.ConfigException;
import org.qlora4j.testing.Strangers;
import org.qlora4j.train.TinyRun;

class DryRunTest {
    /** Of the tiny model: hidden 32, inner 56, key and value width 16. */
    private static final int Q = 32 + 32;

    private static final int KV = 32 + 16;
    private static final int MLP = 32 + 56;
    private static final int LAYERS = 2;

    @TempDir Path folder;

    @Test
    void allLinear_countsTrainableWeightsByTheClosedForm() {
        Path data = TinyRun.data(folder);
        RunConfig config = TinyRun.config(folder.resolve("run"), data, "lora.r=5");
        long trainable = (long) LAYERS * 5 * (2 * Q + 2 * KV + 3 * MLP);
        // embeddings and head 160 x 32; per layer 4 attention and 3 MLP matrices and 2 norms
        long weights =
                2 * 160 * 32 + LAYERS * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 56 + 2 * 32) + 32;
        assertThat(DryRun.describe(config, false))
                .contains(
                        String.format(
                                Locale.ROOT,
                                "model: %,d weights; %,d would learn (%.2f%%), in 14 of 14 linear layers",
                                weights,
                                trainable,
                                100.0 * trainable / weights));
    }

    /** Loading it would leave the linears as they are and train the rest. */
    @Test
    void allWeightsOfACheckpointIn4Bits_areRefusedByDryRunAndPlan() {
        RunConfig config =
                TinyRun.config(
                        Strangers.folder("bnb-skip"),
                        folder.resolve("run"),
                        TinyRun.data(folder),
                        "train.full_finetune=true",
                        "quantization.load_in_4bit=false");
        String reason = "train.full_finetune is true, but";
        assertThatThrownBy(() -> DryRun.describe(config, false))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(reason);
        assertThatThrownBy(() -> MemoryPlan.shape(config))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(reason);
    }

    @Test
    void stepsThatTheDataDecides_areSaid() {
        Path data = TinyRun.data(folder); // 24 examples, in steps of two times two
        RunConfig unsaid = TinyRun.config(folder.resolve("run"), data, "train.max_steps=null");
        assertThat(DryRun.describe(unsaid, false))
                .contains(
                        "run: 102 steps follow from the size of the data, about 17 passes over 24 examples;")
                .contains("run: 102 steps, 6 steps an epoch");
    }

    @Test
    void stepsOfThePaper_areSaidWhereTheDataIsSmall() {
        Path data = TinyRun.data(folder);
        RunConfig paper = TinyRun.config(folder.resolve("run"), data, "train.max_steps=10000");
        assertThat(DryRun.describe(paper, false))
                .contains(
                        "train.max_steps is 10000, the paper's, which are 1666 passes over these 24 examples;"
                                + " train.max_steps=null lets their number decide");
        RunConfig told = TinyRun.config(folder.resolve("run"), data, "train.max_steps=9999");
        assertThat(DryRun.describe(told, false)).doesNotContain("passes over");
    }

    @Test
    void patternsAndBlocks_enterTheCount() {
        RunConfig config =
                TinyRun.config(
                        folder.resolve("run"),
                        TinyRun.data(folder),
                        "lora.r=4",
                        "lora.target_modules=[q_proj, down_proj]",
                        "lora.rank_pattern={down_proj: 6}",
                        "lora.layers_to_transform=[1]");
        assertThat(DryRun.describe(config, false))
                .contains("; %d would learn".formatted(4 * Q + 6 * MLP))
                .contains("in 2 of 14 linear layers");
    }

    @Test
    void settingsAndFirstExample_areShownAndNothingIsMade() throws Exception {
        Path data = folder.resolve("data.jsonl");
        Files.writeString(data, "{\"input\": \"ab\", \"output\": \"xyz\"}\n");
        Path run = folder.resolve("run");
        RunConfig config =
                TinyRun.config(run, data, "train.max_steps=null", "train.num_train_epochs=3");
        String text = DryRun.describe(config, false);
        assertThat(text).startsWith(RunConfigWriter.toYaml(config));
        assertThat(text).contains("data: 1 examples from 1 records");
        assertThat(text).contains("run: 3 steps, 1 steps an epoch, learning rate 0.01");
        String example = text.substring(text.indexOf("first example:"));
        assertThat(example).contains("xyz").contains("ab");
        assertThat(TinyRun.names(folder)).containsExactly("data.jsonl");
    }

    @Test
    void numbers_areWrittenAlikeInEveryLocale() {
        RunConfig config = TinyRun.config(folder.resolve("run"), TinyRun.data(folder));
        Locale before = Locale.getDefault();
        String here = DryRun.describe(config, false);
        try {
            Locale.setDefault(Locale.GERMANY);
            assertThat(DryRun.describe(config, false)).isEqualTo(here);
        } finally {
            Locale.setDefault(before);
        }
    }

    @Test
    void targetsThatMatchNothing_areOneLine() {
        RunConfig config =
                TinyRun.config(
                        folder.resolve("run"), TinyRun.data(folder), "lora.target_modules=[query]");
        assertThatThrownBy(() -> DryRun.describe(config, false))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("lora.target_modules [query] chooses no layer");
    }
}

package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.export.ModelFolder;
import org.qlora4j.plan.DryRun;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.run.SampleAnswer;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.SmallLlama;
import org.qlora4j.testing.TinyLlama;

/** Runs whose layers stay on disk, beside the same runs with all layers in memory. */
class StreamedRunTest {
    private static final int LAYERS = 6;

    /** Weights of a layer: four of attention, two of them half as wide, and three of the MLP. */
    private static final long LAYER = 3 * 64 * 64 + 3 * 64 * 160;

    @TempDir static Path shared;
    @TempDir Path folder;
    private static Path model;
    private static Path data;

    @BeforeAll
    static void quantize() throws IOException {
        Path plain = SmallLlama.write(Files.createDirectory(shared.resolve("plain")), 64, 160, 6);
        model = shared.resolve("in4bits");
        ModelFolder.quantize(plain, QuantConfig.DEFAULT, model);
        data = TinyRun.data(shared);
    }

    /** All that a run tells of numbers and texts. */
    private static final class Trace extends TinyRun.Record {
        private final List<Object> told = new ArrayList<>();

        @Override
        public void evaluated(EvalMetrics metrics) {
            told.add(metrics.loss());
        }

        @Override
        public void sampleAnswered(SampleAnswer answer) {
            told.addAll(Arrays.asList(answer.prompt(), answer.base(), answer.finetuned()));
        }
    }

    private RunConfig config(String run, boolean streamed, String... settings) {
        List<String> words = new ArrayList<>(List.of("model.stream_layers=" + streamed));
        words.add("train.max_steps=3");
        words.addAll(List.of(settings));
        return TinyRun.config(model, folder.resolve(run), data, words.toArray(String[]::new));
    }

    private void assertSameFiles(String run, String other, int step) throws IOException {
        for (String file : List.of("adapter_model.safetensors", "optimizer.safetensors")) {
            String path = "checkpoint-" + step + "/" + file;
            assertThat(Files.readAllBytes(folder.resolve(run).resolve(path)))
                    .as(path)
                    .isEqualTo(Files.readAllBytes(folder.resolve(other).resolve(path)));
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "lora.lora_dropout=0.1 train.sample_prompt=[say] train.sample_max_new_tokens=6 data.eval_dataset_size=5"
                        + " eval.eval_strategy=steps eval.eval_steps=2",
                "data.packing=true data.source_max_len=40 data.target_max_len=40 lora.use_dora=true",
                "train.gradient_checkpointing=false model.new_tokens=[xy] train.per_device_train_batch_size=1"
            })
    void streamedRun_isTheResidentOneToTheBit(String words) throws IOException {
        long live = NativeMemory.liveBytes();
        String[] settings = words.split(" ", -1);
        List<Trace> traces = new ArrayList<>();
        long[] most = new long[2];
        for (boolean streamed : new boolean[] {false, true}) {
            NativeMemory.resetPeak();
            Trace trace = new Trace();
            new TrainingRun(config("" + streamed, streamed, settings), false, trace).run();
            most[streamed ? 1 : 0] = NativeMemory.peakBytes() - live;
            traces.add(trace);
            assertThat(NativeMemory.liveBytes()).isEqualTo(live);
        }
        assertThat(traces.get(1).losses()).hasSize(3).isEqualTo(traces.get(0).losses());
        assertThat(traces.get(1).told).isEqualTo(traces.get(0).told);
        assertSameFiles("true", "false", 3);
        // two layers at most are in memory, of half a byte and more a weight
        assertThat(most[0] - most[1]).isGreaterThan((LAYERS - 2) * LAYER / 2);
    }

    @Test
    void runThatWasResident_goesOnStreamed() throws IOException {
        TinyRun.run(config("whole", false));
        TinyRun.run(config("cut", false, "train.max_steps=1"));
        TinyRun.resume(config("cut", true));
        assertSameFiles("cut", "whole", 3);
    }

    @Test
    void checkpointIn16Bits_isRefusedWithTheCommandThatStoresIt() {
        RunConfig config =
                TinyRun.config(
                        TinyLlama.folder(),
                        folder.resolve("run"),
                        data,
                        "model.stream_layers=true");
        for (Runnable work :
                List.<Runnable>of(
                        () -> TinyRun.run(config), () -> DryRun.describe(config, false))) {
            assertThatThrownBy(work::run)
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("model.stream_layers is true, but ")
                    .hasMessageContaining("qlora quantize --model " + TinyLlama.folder())
                    .hasMessageNotContaining("\n");
        }
        assertThat(folder.resolve("run")).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "train.full_finetune=true quantization.load_in_4bit=false",
                "lora.init_lora_weights=pissa"
            })
    void settingsThatChangeTheBase_areRefused(String words) {
        assertThatThrownBy(() -> config("run", true, words.split(" ", -1)))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("model.stream_layers");
    }
}

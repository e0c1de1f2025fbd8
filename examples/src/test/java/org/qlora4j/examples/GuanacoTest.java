package org.qlora4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.config.QloraFlags;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.data.DatasetFormat;
import org.qlora4j.optim.LrSchedulerType;
import org.qlora4j.optim.OptimType;
import org.qlora4j.plan.MemoryPlan;
import org.qlora4j.quant.QuantType;

/** The runs of the paper: table 9, and scripts/finetune_guanaco_*.sh of artidoro/qlora. */
class GuanacoTest {
    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "7b, huggyllama/llama-7b, 2e-4, 0.1, 500",
        "13b, huggyllama/llama-13b, 2e-4, 0.05, 500",
        "33b, huggyllama/llama-30b, 1e-4, 0.05, 200",
        "65b, huggyllama/llama-65b, 1e-4, 0.05, 200",
    })
    void config_hasThePapersHyperparameters(
            String size, String model, double learningRate, double dropout, int saveSteps) {
        Path file = Path.of("").toAbsolutePath().resolve("guanaco").resolve(size + ".yaml");
        RunConfig config = RunConfigReader.read(file);
        assertThat(config.model().modelNameOrPath()).isEqualTo(model);
        assertThat(config.quantization().load4bit()).isTrue();
        assertThat(config.quantization().type()).isEqualTo(QuantType.NF4);
        assertThat(config.quantization().doubleQuant()).isTrue();
        assertThat(config.lora().r()).isEqualTo(64);
        assertThat(config.lora().loraAlpha()).isEqualTo(16);
        assertThat(config.lora().loraDropout()).isEqualTo(dropout);
        assertThat(config.data().datasetFormat()).isEqualTo(DatasetFormat.OASST1);
        assertThat(config.data().sourceMaxLen()).isEqualTo(16);
        assertThat(config.data().targetMaxLen()).isEqualTo(512);
        assertThat(config.data().groupByLength()).isTrue();
        assertThat(
                        config.train().perDeviceTrainBatchSize()
                                * config.train().gradientAccumulationSteps())
                .isEqualTo(16);
        assertThat(config.train().maxSteps()).isEqualTo(1875);
        assertThat(config.train().learningRate()).isEqualTo(learningRate);
        assertThat(config.train().lrSchedulerType()).isEqualTo(LrSchedulerType.CONSTANT);
        assertThat(config.train().optim()).isEqualTo(OptimType.PAGED_ADAMW_32BIT);
        assertThat(config.train().maxGradNorm()).isEqualTo(0.3);
        assertThat(config.train().gradientCheckpointing()).isTrue();
        assertThat(config.train().saveSteps()).isEqualTo(saveSteps);
        assertThat(config.train().seed()).isZero();
        assertThat(config.train().orderSeed()).isEqualTo(42);
        assertThat(config.data().evalDatasetSize()).isEqualTo(1024);
        assertThat(config.eval().evalSteps()).isEqualTo(187);
    }

    /**
     * The paper's claim (section 1): 33B on a GPU of 24 GB, 65B on one of 48 GB; table 6 for the
     * smaller ones.
     */
    @ParameterizedTest(name = "{0}")
    @CsvSource({"7b, 24", "13b, 24", "33b, 24", "65b, 48"})
    void plan_fitsThePapersGpu(String size, int gigabytes) {
        Path file = Path.of("").toAbsolutePath().resolve("guanaco").resolve(size + ".yaml");
        RunConfig config =
                RunConfigReader.read(
                        file,
                        QloraFlags.parse(
                                List.of(
                                        "train.per_device_train_batch_size=1",
                                        "train.gradient_accumulation_steps=16")));
        long contextAndLibraries = 1L << 30; // what a CUDA process takes before any tensor
        assertThat(MemoryPlan.of(config).total() + contextAndLibraries)
                .isLessThan(gigabytes * (1L << 30));
    }
}

package org.qlora4j.measure;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.train.TinyRun;

class SelfCheckTest {
    @TempDir Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"bfloat16", "float32"})
    void tinyModel_passes(String dtype) {
        long live = NativeMemory.liveBytes();
        List<SelfCheck.Row> rows =
                SelfCheck.run(
                        TinyRun.config(
                                folder.resolve("run"),
                                TinyRun.data(folder),
                                "quantization.bnb_4bit_compute_dtype=" + dtype,
                                "lora.lora_dropout=0.1"));
        assertThat(rows).hasSize(dtype.equals("float32") ? 4 : 8);
        assertThat(rows).allMatch(SelfCheck.Row::holds);
        assertThat(rows).extracting(SelfCheck.Row::dtype).contains("float32", dtype);
        assertThat(rows)
                .as("something was compared: other shapes round otherwise")
                .anyMatch(row -> row.gradient() > 0);
        assertThat(folder.resolve("run")).doesNotExist();
        assertThat(NativeMemory.liveBytes()).isEqualTo(live);
    }

    @Test
    void differenceBeyondTolerance_doesNotHold() {
        assertThat(new SelfCheck.Row("", "", 0, 1e-6, 1e-6, 1e-6).holds()).isTrue();
        assertThat(new SelfCheck.Row("", "", 0, 1e-6, 2e-6, 1e-6).holds()).isFalse();
        assertThat(new SelfCheck.Row("", "", 2e-6, 1e-6, 0, 1e-6).holds()).isFalse();
        assertThat(new SelfCheck.Row("", "", 0, 1e-6, Double.NaN, 1e-6).holds()).isFalse();
    }
}

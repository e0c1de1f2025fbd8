package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.autograd.Tape;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.export.ModelFolder;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.plan.RunInputs;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;

/** What {@code qlora quantize} and new tokens make of each family of decoders. */
class FamilyToolsTest {
    @TempDir Path folder;

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    static List<String> families() {
        return FamilyGoldenTest.families();
    }

    private static Path golden(String family) {
        return Golden.folder().resolve("families").resolve(family);
    }

    private static Tensor logits(CausalModel model) {
        try (TensorScope scope = TensorScope.open();
                BatchContext seen = BatchContext.of(1, 12);
                Tape tape = Tape.inference()) {
            long[] ids = {1, 20, 21, 22, 30, 7, 40, 2, 90, 91, 3, 4};
            Tensor input = Tensors.of(ids, 1, 12);
            return TensorScope.release(
                    model.logits(model.hidden(tape, input, seen, false).value()).copy());
        }
    }

    /** The file is read as it was written, by the names and with the skips of the family. */
    @ParameterizedTest
    @MethodSource("families")
    void quantizedModel_isReadBackToTheBit(String family) {
        try (CausalModel model = Models.load(golden(family), QuantConfig.DEFAULT, DType.F32);
                Tensor expected = logits(model)) {
            ModelFolder.write(model, golden(family), folder);
            try (CausalModel read = Models.load(folder, QuantConfig.DEFAULT, DType.F32);
                    Tensor actual = logits(read)) {
                assertThat(read.byteSize()).isEqualTo(model.byteSize());
                Close.assertClose("logits", actual, expected, 0, 0);
            }
        }
    }

    /** New rows are the mean of the others, which stay as they were. */
    @ParameterizedTest
    @MethodSource("families")
    void moreRows_changeNoOtherToken(String family) {
        try (CausalModel model =
                        Models.load(golden(family), FamilyGoldenTest.NOT_QUANTIZED, DType.F32);
                Tensor before = logits(model)) {
            int rows = model.vocabularySize();
            model.resizeVocabulary(rows + 2);
            assertThat(model.vocabularySize()).isEqualTo(rows + 2);
            try (TensorScope scope = TensorScope.open();
                    Tensor after = logits(model)) {
                Close.assertClose("logits", after.narrow(1, 0, rows), before, 0, 1e-5);
                // the head is linear up to a cap, which keeps the order
                float[] row = after.select(0, 3).toFloats();
                assertThat(row[rows]).isEqualTo(row[rows + 1]);
                if (!family.equals("gemma2")) {
                    double mean = 0;
                    for (float logit : Arrays.copyOf(row, rows)) {
                        mean += logit / (double) rows;
                    }
                    assertThat((double) row[rows]).isCloseTo(mean, Offset.offset(1e-4));
                }
            }
            model.resizeVocabulary(rows);
            try (Tensor again = logits(model)) {
                Close.assertClose("logits", again, before, 0, 1e-6);
            }
        }
    }

    /** Adapters hold embeddings and head by the names of LLaMA's; the others say so at once. */
    @ParameterizedTest
    @CsvSource({"gpt2, gpt2", "gpt-neox, gpt_neox", "t5, t5"})
    void newTokens_areRefusedWhereAdaptersHoldNoTable(String family, String type) {
        RunConfig config =
                RunConfig.of(
                        "model.model_name_or_path=" + golden(family),
                        "model.new_tokens=[<tool>]",
                        "data.dataset=nothing.jsonl");
        assertThatThrownBy(() -> RunInputs.read(config))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith(
                        "model.new_tokens must be empty for a model of type %s, whose adapters hold no table"
                                .formatted(type));
    }
}

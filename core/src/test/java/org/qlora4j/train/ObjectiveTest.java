package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Batch;
import org.qlora4j.error.ConfigException;
import org.qlora4j.family.Families;
import org.qlora4j.family.Models;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.CrossContext;
import org.qlora4j.model.ModelShape;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;

/** What batches ask of models that classify or read a source, against transformers' losses. */
class ObjectiveTest {
    private static final QuantConfig NOT_QUANTIZED =
            new QuantConfig(
                    false, QuantConfig.DEFAULT.type(), false, QuantConfig.DEFAULT.blockSize());

    private static Path folder(String family) {
        return Golden.folder().resolve("families").resolve(family);
    }

    private static CausalModel load(String family) {
        return Models.load(folder(family), NOT_QUANTIZED, DType.F32, true);
    }

    /** Rows of the golden batch, each with its class behind its text, padded on the right. */
    private static Batch labelled(Golden golden) {
        long[] ids = golden.tensor("input_ids").toLongs();
        long[] mask = golden.tensor("attention_mask").toLongs();
        long[] classes = golden.tensor("labels").toLongs();
        int time = 25;
        int[] inputs = new int[3 * time];
        int[] labels = new int[3 * time];
        boolean[] real = new boolean[3 * time];
        Arrays.fill(labels, Batch.IGNORED);
        for (int row = 0; row < 3; row++) {
            int length = 0;
            for (int i = 0; i < 24; i++) {
                length += (int) mask[row * 24 + i];
                inputs[row * time + i] = (int) ids[row * 24 + i];
            }
            inputs[row * time + length] = (int) classes[row];
            labels[row * time + length] = (int) classes[row];
            Arrays.fill(real, row * time, row * time + length + 1, true);
        }
        return new Batch(3, time, inputs, labels, real);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void classesBehindTexts_haveTheLossAndGradientsOfTransformers(boolean checkpointing) {
        Golden golden = Golden.open(folder("roberta-classifier").resolve("expected.safetensors"));
        try (TensorScope scope = TensorScope.open();
                CausalModel model = load("roberta-classifier")) {
            Batch batch = labelled(golden);
            assertThat(batch.labelTokens()).isEqualTo(3);
            float expected = golden.tensor("loss").toFloats()[0];
            assertThat(MicroBatch.evaluate(model, batch) / 3)
                    .isCloseTo(expected, Offset.offset(1e-5));
            long live = NativeMemory.liveBytes();
            assertThat(MicroBatch.backward(model, batch, checkpointing, 1) / 3)
                    .isCloseTo(expected, Offset.offset(1e-5));
            assertThat(NativeMemory.liveBytes()).isEqualTo(live);
            for (Parameter p : model.parameters()) {
                Close.assertClose(
                        p.name(),
                        p.grad().times(1.0 / 3),
                        golden.tensor("grad." + p.name()),
                        1e-4,
                        1e-6);
            }
        }
    }

    /** A target begins with the start. */
    @Test
    void sourceAndTarget_areTheHalvesOfARow() {
        try (TensorScope scope = TensorScope.open();
                CausalModel model = load("t5")) {
            int[] ids = {9, 8, 7, 1, 20, 21, 1};
            int none = Batch.IGNORED;
            int[] labels = {none, none, none, none, 20, 21, 1};
            boolean[] real = new boolean[7];
            Arrays.fill(real, true);
            double sum = MicroBatch.evaluate(model, new Batch(1, 7, ids, labels, real));
            byte[] visible = {1, 1, 1, 1};
            try (Tape tape = Tape.inference();
                    BatchContext source = BatchContext.whole(1, 4, visible);
                    BatchContext target = BatchContext.of(1, 3)) {
                Tensor read = Tensors.of(new long[] {9, 8, 7, 1}, 1, 4);
                Var encoded = model.encode(tape, read, source, false);
                try (CrossContext seen = new CrossContext(target, encoded, visible)) {
                    Tensor before = Tensors.of(new long[] {0, 20, 21}, 1, 3);
                    Var hidden = model.hidden(tape, before, seen, false);
                    int[] told = {20, 21, 1};
                    Var loss = CrossEntropy.sum(tape, hidden, model.head(), told);
                    assertThat(sum).isCloseTo(loss.value().item(), Offset.offset(1e-5));
                }
            }
            long live = NativeMemory.liveBytes();
            MicroBatch.backward(model, new Batch(1, 7, ids, labels, real), true, 1);
            assertThat(NativeMemory.liveBytes()).isEqualTo(live);
        }
    }

    @Test
    void settingsThatTheTaskDoesNotHave_areRefused() {
        RunConfig config =
                RunConfig.of("model.model_name_or_path=m", "data.dataset=d", "data.packing=true");
        ModelShape t5 = Families.shape(folder("t5"));
        assertThatThrownBy(() -> Objective.check(config, t5))
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        "data.packing must be false for models of type t5, which read a whole text in each row");
        Objective.check(config, Families.shape(folder("llama")));
    }
}

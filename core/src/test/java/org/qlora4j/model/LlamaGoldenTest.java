package org.qlora4j.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.AttentionMask;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;

/** Logits, loss and the gradient of every parameter against transformers, in f32. */
class LlamaGoldenTest {
    static final QuantConfig NOT_QUANTIZED =
            new QuantConfig(
                    false, QuantConfig.DEFAULT.type(), false, QuantConfig.DEFAULT.blockSize());

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    @ParameterizedTest(name = "{0}, checkpointing {1}")
    @CsvSource({
        "llama, false",
        "llama, true",
        "llama-tied-mha, false",
        "llama-tied-mha, true",
        "llama3-rope, false",
        "llama-linear-rope, false"
    })
    void family_givesLogitsLossAndGradientsOfTransformers(String family, boolean checkpointing) {
        Path folder = Golden.folder().resolve("families").resolve(family);
        Golden golden = Golden.open(folder.resolve("expected.safetensors"));
        long before = NativeMemory.liveBytes();
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(folder, NOT_QUANTIZED, DType.F32, true)) {
            Tensor ids = golden.tensor("input_ids");
            int batch = (int) ids.size(0);
            int time = (int) ids.size(1);
            long[] attention = golden.tensor("attention_mask").toLongs();
            int[] labels = shifted(golden.tensor("labels").toLongs(), batch, time);
            long netBefore = NativeMemory.freedBySafetyNet();
            try (TensorScope step = TensorScope.openSafetyNet();
                    AttentionMask mask = new AttentionMask(batch, time, time, bytes(attention));
                    Tape tape = Tape.recording(1)) {
                Var hidden = model.hidden(tape, ids, mask, null, checkpointing);
                try (TensorScope compare = TensorScope.open()) {
                    Tensor logits =
                            model.logits(hidden.value()).view(batch, time, model.vocabularySize());
                    Close.assertClose("logits", logits, golden.tensor("logits"), 0, 1e-4);
                }
                Var loss = CrossEntropy.sum(tape, hidden, model.head(), labels);
                long count =
                        java.util.Arrays.stream(labels)
                                .filter(l -> l != CrossEntropy.IGNORE)
                                .count();
                float expected;
                try (TensorScope compare = TensorScope.open()) {
                    expected = golden.tensor("loss").toFloats()[0];
                }
                assertThat(loss.value().item() / count)
                        .isCloseTo(expected, org.assertj.core.data.Offset.offset(1e-5));
                tape.backward(loss);
                for (Parameter p : model.parameters()) {
                    try (TensorScope compare = TensorScope.open()) {
                        Close.assertClose(
                                p.name(),
                                p.grad().times(1.0 / count),
                                golden.tensor("grad." + p.name()),
                                1e-4,
                                1e-6);
                    }
                }
            }
            assertThat(NativeMemory.freedBySafetyNet()).isEqualTo(netBefore);
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "llama-tied-mha", "llama3-rope", "llama-linear-rope"})
    void oneTokenAtATime_givesLogitsOfTheWholeRow(String family) {
        Path folder = Golden.folder().resolve("families").resolve(family);
        Golden golden = Golden.open(folder.resolve("expected.safetensors"));
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(folder, NOT_QUANTIZED, DType.F32);
                StreamCache cache = model.newStreamCache(1)) {
            Tensor ids = golden.tensor("input_ids").narrow(0, 0, 1);
            Tensor expected = golden.tensor("logits").select(0, 0);
            for (int t = 0; t < 24; t++) {
                cache.reserve(t + 1);
                PastKeyValues past = t == 0 ? cache.fill(0, 1) : cache;
                try (Tape tape = Tape.inference();
                        AttentionMask mask = new AttentionMask(1, 1, t + 1, null)) {
                    Var hidden = model.hidden(tape, ids.narrow(1, t, 1), mask, past, false);
                    Close.assertClose(
                            "logits " + t,
                            model.logits(hidden.value()),
                            expected.narrow(0, t, 1),
                            0,
                            1e-4);
                }
            }
        }
    }

    static byte[] bytes(long[] values) {
        byte[] out = new byte[values.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (byte) values[i];
        }
        return out;
    }

    /** What each position predicts: the label of the next one. */
    static int[] shifted(long[] labels, int batch, int time) {
        int[] out = new int[labels.length];
        for (int b = 0; b < batch; b++) {
            for (int t = 0; t < time; t++) {
                out[b * time + t] =
                        t + 1 < time ? (int) labels[b * time + t + 1] : CrossEntropy.IGNORE;
            }
        }
        return out;
    }
}

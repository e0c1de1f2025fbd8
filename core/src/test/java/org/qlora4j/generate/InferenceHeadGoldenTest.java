package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.qlora4j.autograd.Tape;
import org.qlora4j.family.Families;
import org.qlora4j.family.Models;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.Samples;

/** The head in 8 bits on the chats of the golden files, beside the exact one. */
class InferenceHeadGoldenTest {
    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
        assumeTrue(!Kernels.current().name().equals("reference"), "there is no kernel for 8 bits");
    }

    @ParameterizedTest
    @EnumSource(names = {"BF16", "F32"})
    void smollm2OnChats_staysBelowTheDivergenceAllowed(DType compute) {
        Golden golden = Golden.open(Golden.folder().resolve("smollm2/expected.safetensors"));
        try (CausalModel model = Models.load(Golden.smollm2(), QuantConfig.DEFAULT, compute);
                InferenceHead head = new InferenceHead(model);
                TensorScope scope = TensorScope.open()) {
            assertThat(head.bits()).isEqualTo(8 * compute.bytes());
            head.prepare();
            assertThat(head.divergence()).isPositive().isLessThan(InferenceHead.MOST_DIVERGENCE);
            assertThat(head.bits()).isEqualTo(8);
            assertThat(head.byteSize()).isLessThan(model.head().weight().byteSize() * 6 / 10);

            Tensor ids = golden.tensor("chat0.input_ids");
            int time = (int) ids.size(1);
            try (BatchContext seen = BatchContext.of(1, time);
                    Tape tape = Tape.inference()) {
                Tensor hidden = model.hidden(tape, ids, seen, false).value();
                Tensor exact = model.logits(hidden).softmax(1);
                Tensor eight = head.logits(hidden).softmax(1);
                double[] divergences = new double[time];
                float[] p = exact.toFloats();
                float[] q = eight.toFloats();
                int vocabulary = p.length / time;
                for (int i = 0; i < p.length; i++) {
                    divergences[i / vocabulary] += p[i] * Math.log((double) p[i] / q[i]);
                }
                assertThat(divergences).isNotEmpty();
                assertThat(Arrays.stream(divergences).average().orElseThrow())
                        .isPositive()
                        .isLessThan(5e-4);
            }
        }
    }

    /** Whatever is read first, and however many rows there are. */
    @Test
    void rowsLogits_areThoseOfTheRowAlone() {
        try (CausalModel model = Models.load(Golden.smollm2(), QuantConfig.DEFAULT, DType.F32);
                InferenceHead head = new InferenceHead(model);
                TensorScope scope = TensorScope.open()) {
            head.prepare();
            Tensor hidden = model.head().weight().dense(DType.F32).narrow(0, 300, 35);
            float[] all = head.logits(hidden).toFloats();
            int vocabulary = all.length / 35;
            for (int row : new int[] {0, 15, 16, 34}) {
                float[] alone = head.logits(hidden.narrow(0, row, 1)).toFloats();
                assertThat(Arrays.copyOfRange(all, row * vocabulary, (row + 1) * vocabulary))
                        .isEqualTo(alone);
            }
        }
    }

    @Test
    void wholeWeightsInF32_keepAWholeHead() {
        QuantConfig whole = QuantConfig.DEFAULT.withLoad4bit(false);
        try (CausalModel model = Models.load(Golden.smollm2(), whole, DType.F32);
                InferenceHead head = new InferenceHead(model)) {
            head.prepare();
            assertThat(head.bits()).isEqualTo(32);
        }
    }

    /** Gemma 2's cap of logits holds in 8 bits too. */
    @Test
    void cappedLogits_areCappedIn8Bits() {
        Path gemma2 = Golden.folder().resolve("families/gemma2");
        try (CausalModel model =
                        Models.random(
                                Families.shape(gemma2), QuantConfig.DEFAULT, DType.F32, false, 3);
                InferenceHead head = new InferenceHead(model);
                TensorScope scope = TensorScope.open()) {
            head.prepare();
            assertThat(head.bits()).isEqualTo(8);
            Tensor hidden = Samples.normal(DType.F32, 5, 4, 32).mulInPlace(500);
            Tensor exact = model.logits(hidden);
            assertThat(largest(exact)).isGreaterThan(25).isLessThanOrEqualTo(30);
            Close.assertClose("logits", head.logits(hidden), exact, 0.05, 0);
        }
    }

    private static float largest(Tensor values) {
        float largest = 0;
        for (float value : values.toFloats()) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }
}

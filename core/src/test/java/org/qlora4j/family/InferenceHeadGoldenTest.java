package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.qlora4j.autograd.Tape;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.InferenceHead;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Golden;

/** The head in 8 bits on the chats of the golden files, beside the exact one. */
class InferenceHeadGoldenTest {
    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
        assumeTrue(!Kernels.current().name().equals("reference"), "there is no kernel for 8 bits");
    }

    @Test
    void smollm2OnChats_staysBelowTheDivergenceAllowed() {
        Path folder = Golden.folder().resolve("smollm2");
        Golden golden = Golden.open(folder.resolve("expected.safetensors"));
        try (CausalModel model = Models.load(Golden.smollm2(), QuantConfig.DEFAULT, DType.BF16);
                TensorScope scope = TensorScope.open()) {
            Tensor ids = golden.tensor("chat0.input_ids");
            int time = (int) ids.size(1);
            InferenceHead head = model.inferenceHead();
            try (BatchContext seen = BatchContext.of(1, time);
                    Tape tape = Tape.inference()) {
                Tensor hidden = model.hidden(tape, ids, seen, false).value();
                head.judge(model, hidden);
                assertThat(head.divergence()).isPositive().isLessThan(5e-4);
                assertThat(head.bits(model)).isEqualTo(8);
                assertThat(head.byteSize(model))
                        .isLessThan(model.head().weight().byteSize() * 6 / 10);

                Tensor last = hidden.narrow(1, time - 1, 1);
                float[] eight = head.logits(model, last).toFloats();
                head.allowEightBits(false);
                assertThat(head.bits(model)).isEqualTo(16);
                assertThat(head.logits(model, last).toFloats()).isNotEqualTo(eight);
            }
        }
    }
}

package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Weight;
import org.qlora4j.kernel.FourBitLoss;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Labels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;

/** Checkpoints that bitsandbytes saved in 4 bits: read without rounding again, logits as theirs. */
class BnbGoldenTest {
    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    @ParameterizedTest
    @ValueSource(strings = {"nf4-sq", "nf4-dq", "fp4-sq", "fp4-dq"})
    void checkpointIn4Bits_givesItsLogits(String name) {
        Path folder = Golden.folder().resolve("bnb").resolve(name);
        Golden golden = Golden.open(folder.resolve("expected.safetensors"));
        try (CausalModel model = Models.load(folder, FamilyGoldenTest.NOT_QUANTIZED, DType.F32)) {
            assertThat(model.linears()).allMatch(l -> l.weight() instanceof Weight.Quantized);
            requireLogits(model, golden);
        }
        ModelPlace place = ModelPlace.of(folder);
        Labels labels = Labels.OF_CONFIG;
        try (CausalModel model =
                Models.stream(place, FamilyGoldenTest.NOT_QUANTIZED, DType.F32, labels, 0)) {
            assertThat(model.linears()).allMatch(l -> l.weight() instanceof Weight.Streamed);
            requireLogits(model, golden);
        }
    }

    private static void requireLogits(CausalModel model, Golden golden) {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.inference()) {
            Tensor ids = golden.tensor("input_ids");
            int batch = (int) ids.size(0);
            int time = (int) ids.size(1);
            try (BatchContext seen = BatchContext.of(batch, time)) {
                Tensor hidden = model.hidden(tape, ids, seen, false).value();
                Tensor logits = model.logits(hidden).view(batch, time, model.vocabularySize());
                Close.assertClose(
                        "logits", logits, golden.tensor("logits"), FourBitLoss.ofModel(0), 1e-4);
            }
        }
    }
}

package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.FormatException;
import org.qlora4j.export.ModelFolder;
import org.qlora4j.export.ShrinkConfig;
import org.qlora4j.export.Shrinker;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.Int8Matrix;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;
import tools.jackson.databind.JsonNode;

/** LLM.int8() as transformers with bitsandbytes has it (make_int8_golden.py). */
class Int8GoldenTest {
    private static final QuantConfig F32 =
            new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);

    @TempDir Path temporary;

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    private static Path golden(String name) {
        return Golden.folder().resolve("int8").resolve(name);
    }

    /**
     * A code at a tie falls with the last bit of what came before, so that a few codes differ. The
     * same arithmetic in torch, its factors in another order, is 2.2% of the largest logit away.
     */
    private static void close(String what, Tensor actual, Tensor expected) {
        Close.assertClose(what, actual, expected, 4e-2, 0);
        Tensor difference = actual.minus(expected).square().sum();
        double error = Math.sqrt(difference.item() / expected.square().sum().item());
        assertThat(error).as(what).isLessThan(3e-2);
    }

    @ParameterizedTest
    @ValueSource(strings = {"t0", "t2"})
    void checkpointIn8Bits_givesLogitsLossAndGradients(String name) {
        Golden golden = Golden.open(golden(name).resolve("expected.safetensors"));
        long before = NativeMemory.liveBytes();
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(golden(name), F32, DType.F32)) {
            assertThat(model.linears()).allMatch(l -> l.weight() instanceof Weight.Int8);
            Tensor ids = golden.tensor("input_ids");
            int batch = (int) ids.size(0);
            int time = (int) ids.size(1);
            try (BatchContext seen = BatchContext.of(batch, time);
                    Tape tape = Tape.inference()) {
                Tensor logits = model.logits(model.hidden(tape, ids, seen, false).value());
                close("logits", logits.view(batch, time, -1), golden.tensor("logits"));
            }
            try (LoraAdapter adapter =
                            PeftAdapter.load(
                                    Golden.folder().resolve("adapters/lora"),
                                    model.linears(),
                                    model.parameters(),
                                    DType.F32,
                                    true);
                    BatchContext seen = BatchContext.of(batch, time);
                    Tape tape = Tape.recording(1)) {
                Var hidden = model.hidden(tape, ids, seen, true);
                Tensor logits = model.logits(hidden.value()).view(batch, time, -1);
                close("logits with LoRA", logits, golden.tensor("lora.logits"));
                int[] labels = FamilyGoldenTest.shifted(ids.toLongs(), batch, time);
                Var loss = CrossEntropy.sum(tape, hidden, model.head(), labels);
                int count = batch * (time - 1);
                close("loss", loss.value().times(1.0 / count), golden.tensor("lora.loss"));
                tape.backward(loss);
                for (Parameter p : adapter.parameters()) {
                    String key = "grad.base_model.model." + AdapterGoldenTest.inMemory(p.name());
                    close(p.name(), p.grad().times(1.0 / count), golden.tensor(key));
                }
            }
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    /** Quantized here, and read and written again, it has the tensors of bitsandbytes. */
    @ParameterizedTest
    @ValueSource(strings = {"t0", "t2"})
    void quantized_hasTheTensorsOfBitsandbytes(String name) {
        double threshold = name.equals("t0") ? 0 : 2;
        Path ours = temporary.resolve("ours");
        ModelFolder.quantize(Golden.folder().resolve("adapters/base"), F32.in8bit(threshold), ours);
        assertSameTensors(ours, golden(name));
        JsonNode made = Golden.json(ours.resolve("config.json")).get("quantization_config");
        JsonNode theirs =
                Golden.json(golden(name).resolve("config.json")).get("quantization_config");
        assertThat(made.get("load_in_8bit")).isEqualTo(theirs.get("load_in_8bit"));
        assertThat(made.get("load_in_4bit")).isEqualTo(theirs.get("load_in_4bit"));
        assertThat(made.get("llm_int8_threshold").asDouble()).isEqualTo(threshold);
        Path again = temporary.resolve("again");
        ModelFolder.quantize(golden(name), F32, again);
        assertSameTensors(again, golden(name));
    }

    private static void assertSameTensors(Path ours, Path theirs) {
        try (SafetensorsFile expected = file(theirs);
                SafetensorsFile actual = file(ours);
                TensorScope scope = TensorScope.open()) {
            assertThat(actual.names()).containsExactlyInAnyOrderElementsOf(expected.names());
            for (String key : expected.names()) {
                Tensor a = TensorBytes.toTensor(actual.tensor(key));
                Tensor e = TensorBytes.toTensor(expected.tensor(key));
                assertThat(a.dtype()).as(key).isEqualTo(e.dtype());
                Close.assertClose(key, a.to(DType.F32), e.to(DType.F32), 0, 0);
            }
        }
    }

    private static SafetensorsFile file(Path folder) {
        return SafetensorsFile.open(folder.resolve("model.safetensors"));
    }

    /** The worked example of the format: exact 4.4. */
    @Test
    void outlierColumns_areMultipliedAsTheyAre() {
        try (TensorScope scope = TensorScope.open();
                Int8Matrix matrix =
                        Int8Matrix.quantize(Tensors.of(new float[] {.4f, -1, .25f}, 1, 3), 6)) {
            assertThat(matrix.codes().to(DType.F32).toFloats()).containsExactly(51, -127, 32);
            Tensor rounded = matrix.round(Tensors.of(new float[] {1, -2, 8}, 1, 3));
            Tensor weight = Tensors.empty(DType.F32, 1, 3);
            matrix.dequantizeInto(weight);
            assertThat(rounded.linear(weight, null).item())
                    .isCloseTo(4.420485, Offset.offset(2e-6));
        }
    }

    /** What makes another model of plain weights says so, and writes none of codes. */
    @Test
    void checkpointIn8Bits_isNotShrunk() {
        ShrinkConfig less = new ShrinkConfig(null, List.of(0), null, null);
        assertThatThrownBy(() -> Shrinker.shrink(golden("t0"), less, temporary.resolve("x")))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("holds weights in 8 bits, of which no other model is made");
    }
}

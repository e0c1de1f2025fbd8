package org.qlora4j.family;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.CrossContext;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;

/**
 * PEFT's adapters on all linears of each family (make_family_adapters.py): what they compute on the
 * golden models, and their files written again, byte for byte.
 */
class FamilyAdapterTest {
    private static final Path ADAPTERS = Path.of("src/test/resources/org/qlora4j/family/adapters");

    @TempDir Path temporary;

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    static List<String> families() {
        return List.of(
                "gemma",
                "gemma2",
                "gemma3",
                "mistral-sliding",
                "phi3",
                "qwen2",
                "qwen3",
                "gpt-neox",
                "gpt2",
                "opt");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("families")
    void adapter_givesPeftsLogitsAndFiles(String family) throws IOException {
        Path source = ADAPTERS.resolve(family);
        Golden golden = Golden.open(source.resolve("expected.safetensors"));
        Path base = Golden.folder().resolve("families").resolve(family);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(base, FamilyGoldenTest.NOT_QUANTIZED, DType.F32);
                LoraAdapter adapter =
                        PeftAdapter.load(source, model.linears(), model.parameters(), DType.F32)) {
            Tensor logits = FamilyGoldenTest.logits(model, golden.tensor("ids"));
            Close.assertClose("logits", logits, golden.tensor("logits"), 0, 1e-4);
            PeftAdapter.save(adapter, temporary, family);
        }
        AdapterGoldenTest.assertSameAdapter(temporary, source);
    }

    /** T5 reads the ids, and writes the same behind its start. */
    @ParameterizedTest
    @ValueSource(strings = {"t5", "flan-t5"})
    void adapterOfT5_givesPeftsLogitsAndFiles(String family) throws IOException {
        Path source = ADAPTERS.resolve(family);
        Golden golden = Golden.open(source.resolve("expected.safetensors"));
        Path base = Golden.folder().resolve("families").resolve(family);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(base, FamilyGoldenTest.NOT_QUANTIZED, DType.F32);
                LoraAdapter adapter =
                        PeftAdapter.load(source, model.linears(), model.parameters(), DType.F32)) {
            Tensor ids = golden.tensor("ids");
            int time = (int) ids.size(1);
            long[] before = new long[time]; // 0 starts a target
            System.arraycopy(ids.toLongs(), 0, before, 1, time - 1);
            byte[] visible = new byte[time];
            Arrays.fill(visible, (byte) 1);
            try (Tape tape = Tape.inference();
                    BatchContext read = BatchContext.whole(1, time, visible);
                    BatchContext target = BatchContext.of(1, time)) {
                Var states = model.encode(tape, ids, read, false);
                try (CrossContext seen = new CrossContext(target, states, visible)) {
                    Tensor input = Tensors.of(before, 1, time);
                    Tensor hidden = model.hidden(tape, input, seen, false).value();
                    Tensor expected = golden.tensor("logits");
                    Close.assertClose("logits", model.logits(hidden), expected, 0, 1e-4);
                }
            }
            String task = model.shape().architecture().task().peftName();
            PeftAdapter.save(adapter, temporary, family, task);
        }
        AdapterGoldenTest.assertSameAdapter(temporary, source);
    }
}

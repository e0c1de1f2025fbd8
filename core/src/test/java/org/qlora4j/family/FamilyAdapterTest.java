package org.qlora4j.family;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Close;
import org.qlora4j.testing.Golden;

/**
 * PEFT's adapters on all linears of each family (make_family_adapters.py): what they compute on the
 * golden models, and their files written again, byte for byte. The way back, with DoRA and modules
 * trained whole, is check_family_adapters.py.
 */
class FamilyAdapterTest {
    private static final Path ADAPTERS = Path.of("src/test/resources/org/qlora4j/family/adapters");

    @TempDir Path temporary;

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(
            strings = {
                "gemma",
                "gemma2",
                "gemma3",
                "mistral-sliding",
                "phi3",
                "qwen2",
                "qwen3",
                "gpt-neox",
                "gpt2",
                "opt",
                "t5",
                "flan-t5",
                "roberta-classifier"
            })
    void adapter_givesPeftsLogitsAndFiles(String family) throws IOException {
        Path source = ADAPTERS.resolve(family);
        Golden golden = Golden.open(source.resolve("expected.safetensors"));
        Path base = Golden.folder().resolve("families").resolve(family);
        try (TensorScope scope = TensorScope.open();
                CausalModel model = Models.load(base, FamilyGoldenTest.NOT_QUANTIZED, DType.F32);
                LoraAdapter adapter =
                        PeftAdapter.load(source, model.linears(), model.parameters(), DType.F32)) {
            Tensor expected = golden.tensor("logits");
            Tensor logits = AdapterLogits.of(model, golden.tensor("ids")).view(expected.shape());
            Close.assertClose("logits", logits, expected, 0, 1e-4);
            String task = model.shape().architecture().task().peftName();
            PeftAdapter.save(adapter, temporary, family, task);
        }
        AdapterGoldenTest.assertSameAdapter(temporary, source);
    }
}

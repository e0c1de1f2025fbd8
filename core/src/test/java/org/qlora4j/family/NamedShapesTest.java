package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.model.ModelShape;

class NamedShapesTest {
    /** Numbers of weights as the models' pages on the hub have them. */
    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "llama-7b, 6738415616",
        "huggyllama/llama-13b, 13015864320",
        "llama-8b, 8030261248",
        "mistralai/Mistral-7B-v0.1, 7241732096",
        "Qwen/Qwen2.5-0.5B, 494032768",
        "Qwen/Qwen3-0.6B, 596049920",
        "google/gemma-2-2b, 2614341888",
        "phi3-mini, 3821079552"
    })
    void shape_hasTheNumberOfWeightsOfItsModel(String name, long weights) {
        ModelShape shape = NamedShapes.named(name).orElseThrow();
        assertThat(shape.parameterCount()).isEqualTo(weights);
        assertThat(shape.eosIds()).isNotEmpty();
    }
}

package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.DType;
import org.qlora4j.testing.Strangers;

/** Adapters that are odd but sound; what was odd is said once. */
class StrangeAdapterTest {
    @Test
    void adapterOfHalfTheLayers_saysWhichItLeaves() {
        String said =
                Strangers.said(() -> {
                    for (int i = 0; i < 2; i++) {
                        try (CausalModel model =
                                        Models.load(
                                                Strangers.folder("base"),
                                                FamilyGoldenTest.NOT_QUANTIZED,
                                                DType.F32);
                                LoraAdapter adapter =
                                        PeftAdapter.load(
                                                Strangers.folder("adapter-half"),
                                                model.linears(),
                                                model.parameters(),
                                                DType.F32)) {
                            assertThat(adapter.updates()).isNotEmpty();
                        }
                    }
                });
        assertThat(said)
                .containsOnlyOnce("holds no factors for 2 of the 4 layers")
                .contains("model.layers.1.self_attn.q_proj")
                .hasLineCount(1);
    }
}

package org.qlora4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.stream.IntStream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.qlora4j.error.ConfigException;
import org.qlora4j.family.NamedShapes;

class StageTest {
    private static final ModelShape LLAMA = NamedShapes.named("llama-7b").orElseThrow();
    private static final ModelShape TIED = NamedShapes.named("qwen2.5-0.5b").orElseThrow();

    private static List<Integer> ends(ModelShape shape, int count) {
        return IntStream.range(0, count).mapToObj(i -> Stage.of(shape, i, count).to()).toList();
    }

    /** A head of LLaMA is 0.65 of its layers; none may be off by more than half a layer. */
    @Test
    void stages_multiplyByAsMuch() {
        assertThat(ends(LLAMA, 4)).containsExactly(8, 16, 24, 32);
        assertThat(ends(TIED, 1)).containsExactly(24);
        assertThat(ends(TIED, 24))
                .containsExactlyElementsOf(IntStream.rangeClosed(1, 24).boxed().toList());
        double layer = TIED.linearCount() / 24.0;
        double all = TIED.linearCount() + 151_936.0 * 896;
        assertThat(ends(TIED, 2).getFirst() * layer).isCloseTo(all / 2, Offset.offset(layer / 2));
    }

    @Test
    void eachWeight_isInOneStageOrInAll() {
        for (ModelShape shape : List.of(LLAMA, TIED)) {
            for (int count = 2; count <= 5; count++) {
                int before = 0;
                long inLayers = 0;
                for (int i = 0; i < count; i++) {
                    Stage stage = Stage.of(shape, i, count);
                    assertThat(stage.from()).isEqualTo(before).isLessThan(stage.to());
                    assertThat(stage.inFlight()).isEqualTo(count - i);
                    before = stage.to();
                    inLayers += stage.held().linearCount();
                    assertThat(stage.holds("model.norm.weight")).isTrue();
                    assertThat(stage.holds("model.embed_tokens.weight"))
                            .isEqualTo(i == 0 || shape == TIED && i == count - 1);
                    assertThat(stage.holds("lm_head.weight"))
                            .isEqualTo(shape == TIED || i == count - 1);
                }
                assertThat(inLayers).isEqualTo(shape.linearCount());
            }
        }
    }

    @Test
    void whatCannotBeDivided_isRefused() {
        assertThatThrownBy(() -> Stage.of(TIED, 0, 25))
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        "train.pipeline_parallel_size must be at most 24, the layers of the model, got 25");
        ModelShape t5 = NamedShapes.named("flan-t5-base").orElseThrow();
        assertThatThrownBy(() -> Stage.of(t5, 0, 2))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("must be 1 for models of type t5");
    }
}

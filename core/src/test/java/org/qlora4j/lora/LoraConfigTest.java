package org.qlora4j.lora;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.qlora4j.error.ConfigException;

class LoraConfigTest {
    private static final String Q_PROJ = "model.layers.11.self_attn.q_proj";

    private static LoraConfig with(
            int r,
            double alpha,
            boolean rslora,
            Map<String, Integer> ranks,
            Map<String, Double> alphas) {
        return new LoraConfig(
                r,
                alpha,
                0,
                new TargetModules.AllLinear(),
                null,
                rslora,
                ranks,
                alphas,
                null,
                LoraInit.GAUSSIAN,
                false,
                null);
    }

    @Test
    void paperDefaults_scaleByAQuarter() {
        assertThat(LoraConfig.DEFAULT.scalingOf(Q_PROJ)).isEqualTo(0.25);
    }

    @Test
    void rslora_scalesByRootOfRank() {
        assertThat(with(64, 16, true, Map.of(), Map.of()).scalingOf(Q_PROJ)).isEqualTo(2.0);
        assertThat(with(3, 2, true, Map.of(), Map.of()).scalingOf(Q_PROJ))
                .isCloseTo(2 / Math.sqrt(3), within(1e-15));
    }

    @Test
    void twoPatternsFit_firstHolds() {
        Map<String, Integer> ranks = new LinkedHashMap<>();
        ranks.put("layers\\.11\\..*", 2);
        ranks.put("q_proj", 4);
        LoraConfig config = with(8, 16, false, ranks, Map.of("q_proj", 1.0));
        assertThat(config.rankOf(Q_PROJ)).isEqualTo(2);
        assertThat(config.rankOf("model.layers.1.self_attn.q_proj")).isEqualTo(4);
        assertThat(config.rankOf("model.layers.1.self_attn.xq_proj")).isEqualTo(8);
        assertThat(config.scalingOf(Q_PROJ)).isEqualTo(0.5);
    }

    @Test
    void names_matchWholePathOrItsEnd() {
        TargetModules names = TargetModules.of(List.of("q_proj", "self_attn.k_proj"));
        assertThat(names.matches(Q_PROJ)).isTrue();
        assertThat(names.matches("q_proj")).isTrue();
        assertThat(names.matches("model.self_attn.k_proj")).isTrue();
        assertThat(names.matches("model.xq_proj")).isFalse();
        assertThat(names.matches("model.q_proj.x")).isFalse();
    }

    @Test
    void regex_matchesWholePathOnly() {
        TargetModules regex = TargetModules.of(".*\\.(q|v)_proj");
        assertThat(regex.matches(Q_PROJ)).isTrue();
        assertThat(regex.matches(Q_PROJ + ".x")).isFalse();
        assertThat(TargetModules.of("q_proj").matches(Q_PROJ)).isFalse();
    }

    @Test
    void allLinear_isReadInAnyCase() {
        assertThat(TargetModules.of("All-Linear")).isEqualTo(new TargetModules.AllLinear());
    }

    @Test
    void badValues_areNamedWithTheirRule() {
        fails(() -> with(0, 16, false, Map.of(), Map.of()), "lora.r must be at least 1, got 0");
        fails(
                () -> with(8, 0, false, Map.of(), Map.of()),
                "lora.lora_alpha must be above 0 and fit 32 bits, got 0.0");
        fails(
                () -> with(8, Double.NaN, false, Map.of(), Map.of()),
                "lora.lora_alpha must be above 0 and fit 32 bits, got NaN");
        fails(
                () -> with(8, 16, false, Map.of("q_proj", 0), Map.of()),
                "lora.rank_pattern must hold ranks of at least 1, got 0 for q_proj");
        fails(
                () -> with(8, 16, false, Map.of("(", 1), Map.of()),
                "lora.rank_pattern has a key that is not a regular expression: Unclosed group at index 1 of (");
        fails(() -> full(1, null, null), "lora.lora_dropout must be in [0, 1), got 1.0");
        fails(
                () -> full(0, new TargetModules.AllLinear(), null),
                "lora.exclude_modules must not be all-linear, which would leave no layer to adapt");
        fails(
                () -> full(0, null, List.of(0, -1)),
                "lora.layers_to_transform must hold numbers from 0, got -1");
        fails(
                () -> TargetModules.of(List.of()),
                "is an empty list; name at least one layer, e.g. q_proj");
        fails(
                () -> TargetModules.of(List.of("a", 5)),
                "must list names of layers, got 5 among them");
        fails(
                () -> TargetModules.of(7),
                "must be all-linear, a list of names or a regular expression, got 7");
    }

    private static LoraConfig full(
            double dropout, @Nullable TargetModules exclude, @Nullable List<Integer> layers) {
        return new LoraConfig(
                8,
                16,
                dropout,
                new TargetModules.AllLinear(),
                exclude,
                false,
                Map.of(),
                Map.of(),
                layers,
                LoraInit.KAIMING_UNIFORM,
                false,
                null);
    }

    private static void fails(Runnable made, String message) {
        assertThatThrownBy(made::run).isInstanceOf(ConfigException.class).hasMessage(message);
    }
}

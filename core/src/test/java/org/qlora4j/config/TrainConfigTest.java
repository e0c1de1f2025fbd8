package org.qlora4j.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainConfigTest {
    private static TrainConfig with(String... words) {
        var named =
                Overrides.ofWords(
                        List.of("model.model_name_or_path=org/model", "data.dataset=alpaca"));
        return RunConfigReader.of(named.and(Overrides.ofWords(List.of(words)))).train();
    }

    /** Sizes of LLaMA-7B, LLaMA-13B, GPT-NeoX-20B and LLaMA-33B; the rates are those of table 9. */
    @ParameterizedTest
    @CsvSource({"6738415616, 2e-4", "13015864320, 2e-4", "20554567680, 1e-4", "32528943616, 1e-4"})
    void rateNotGiven_isThePapersForTheSize(long parameters, double expected) {
        assertThat(TrainConfig.DEFAULT.learningRateFor(parameters)).isEqualTo(expected);
        assertThat(with("train.learning_rate=3e-5").learningRateFor(parameters)).isEqualTo(3e-5);
    }

    /** 57 of 1875 is what the Hugging Face trainer makes of it. */
    @Test
    void warmup_roundsUpUnlessGivenInSteps() {
        assertThat(TrainConfig.DEFAULT.warmupStepsOf(1875)).isEqualTo(57);
        assertThat(TrainConfig.DEFAULT.warmupStepsOf(100)).isEqualTo(3);
        assertThat(
                        with("train.warmup_steps=7", "train.lr_scheduler_type=linear")
                                .warmupStepsOf(1875))
                .isEqualTo(7);
    }

    @Test
    void dataSeed_isTheSeedUnlessGiven() {
        assertThat(with("train.seed=3").orderSeed()).isEqualTo(3);
        assertThat(with("train.seed=3", "train.data_seed=4").orderSeed()).isEqualTo(4);
    }
}

package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.ConfigException;

class GenerationConfigTest {
    @ParameterizedTest
    @CsvSource({
        "0, 0, 1, 1, 'generation.max_new_tokens must be at least 1, got 0'",
        "5, 6, 1, 1, 'generation.min_new_tokens must be from 0 to max_new_tokens (5), got 6'",
        "5, -1, 1, 1, 'generation.min_new_tokens must be from 0 to max_new_tokens (5), got -1'",
        "5, 0, 0, 1, 'generation.temperature must be above 0, got 0.0; for the likeliest token use"
                + " do_sample false'",
        "5, 0, NaN, 1, 'generation.temperature must be above 0, got NaN; for the likeliest token"
                + " use do_sample false'",
        "5, 0, 1, 1.1, 'generation.top_p must be in [0, 1], got 1.1'",
        "5, 0, 1, NaN, 'generation.top_p must be in [0, 1], got NaN'",
    })
    void valueOutOfRange_isNamed(
            int most, int least, double temperature, double topP, String message) {
        assertThatThrownBy(() ->
                        GenerationConfig.builder()
                                .maxNewTokens(most)
                                .minNewTokens(least)
                                .temperature(temperature)
                                .topP(topP)
                                .build())
                .isInstanceOf(ConfigException.class)
                .hasMessage(message);
    }

    @Test
    void sampling_keepsTheLimits() {
        GenerationConfig limits = GenerationConfig.DEFAULT.withMaxNewTokens(7).withMinNewTokens(2);
        assertThat(limits.sampling(0.7, 0.9, 5))
                .isEqualTo(
                        GenerationConfig.builder()
                                .maxNewTokens(7)
                                .minNewTokens(2)
                                .doSample(true)
                                .temperature(0.7)
                                .topP(0.9)
                                .seed(5)
                                .build());
        assertThat(limits.sampling(0.7, 0.9, 5).greedy().doSample()).isFalse();
    }
}

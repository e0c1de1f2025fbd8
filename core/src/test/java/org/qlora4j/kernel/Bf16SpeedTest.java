package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.tensor.DType;

class Bf16SpeedTest {
    @ParameterizedTest(name = "f32 {0} s, bf16 {1} s")
    @CsvSource({"4, 1, true", "1.5, 1, true", "1.4, 1, false", "1, 1, false", "1, 40, false"})
    void bf16_isTakenWhereItIsClearlyFaster(double f32, double bf16, boolean taken) {
        assertThat(Bf16Speed.paysOff(f32, bf16)).isEqualTo(taken);
    }

    /** Which of them is faster is the processor's affair. */
    @Test
    void measuring_givesTimes() {
        assertThat(Bf16Speed.seconds(DType.F32)).isPositive();
        assertThat(Bf16Speed.seconds(DType.BF16)).isPositive();
    }
}

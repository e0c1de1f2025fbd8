package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

class LogSumsTest {
    private static final int VOCABULARY = 49_152;

    /**
     * One token at 30, all others at 10. The lane of the likely token swallows what else falls into
     * it, each less than half of its last bit; the other 15 keep theirs.
     */
    @Test
    void likelyToken_swallowsWhatItsLaneHolds() {
        float[] logits = new float[2 * VOCABULARY];
        Arrays.fill(logits, 10);
        logits[0] = 30;
        logits[VOCABULARY + 77] = 30;
        double sum = 1 + 15 * (VOCABULARY / 16) * Math.exp(-20);
        try (TensorScope scope = TensorScope.open()) {
            Tensor rows = Tensors.of(logits, 2, VOCABULARY);
            LogSums sums = new LogSums(rows);
            for (int row = 0; row < 2; row++) {
                assertThat((double) sums.logProbability(row, 30))
                        .isCloseTo(-Math.log(sum), within(2e-7));
                assertThat((double) sums.logProbability(row, 10))
                        .isCloseTo(-20 - Math.log(sum), within(4e-6));
            }
        }
    }

    @Test
    void rest_isAddedToo() {
        float[] values = new float[50];
        for (int i = 0; i < values.length; i++) {
            values[i] = i + 1;
        }
        assertThat(LogSums.sum(values, 0, 50)).isEqualTo(50 * 51 / 2f);
        assertThat(LogSums.sum(values, 3, 8)).isEqualTo(4 + 5 + 6 + 7 + 8);
        assertThat(LogSums.sum(values, 5, 5)).isZero();
    }
}

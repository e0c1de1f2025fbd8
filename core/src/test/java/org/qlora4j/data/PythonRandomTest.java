package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Expected: what CPython 3.11's {@code random.Random} gives. */
class PythonRandomTest {
    private static List<Integer> range(int n) {
        return IntStream.range(0, n).boxed().toList();
    }

    @Test
    void samples_areThoseOfPython() {
        PythonRandom random = new PythonRandom(1234);
        // from a set of places, for 30 is more than a sample of 3 copies
        assertThat(random.sample(range(30), 3)).containsExactly(24, 14, 3);
        assertThat(random.sample(range(30), 3)).containsExactly(0, 2, 29);
        assertThat(random.sample(range(30), 3)).containsExactly(25, 18, 1);
        assertThat(random.sample(range(30), 3)).containsExactly(21, 22, 2);
        assertThat(random.sample(range(1000), 7)).containsExactly(100, 784, 363, 242, 17, 31, 807);
        assertThat(random.nextDouble()).isEqualTo(0.015840421215362555);
        int[] places = new int[5];
        random.choices(50, places);
        assertThat(places).containsExactly(32, 24, 23, 4, 35);
    }

    @Test
    void smallPopulation_isDrawnFromACopy() {
        PythonRandom random = new PythonRandom(0);
        assertThat(random.nextDouble()).isEqualTo(0.8444218515250481);
        assertThat(random.sample(range(10), 10)).containsExactly(6, 0, 4, 7, 3, 5, 2, 1, 9, 8);
    }

    @Test
    void seedOfMoreThan32Bits_isTwoWords() {
        PythonRandom random = new PythonRandom((1L << 40) + 17);
        assertThat(random.nextDouble()).isEqualTo(0.6614192930187859);
        assertThat(random.below(7)).isEqualTo(1);
        assertThat(random.below(1 << 30)).isEqualTo(982771129);
    }
}

package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExampleStoreTest {
    private static List<Example> examples(int count, long seed) {
        Random random = new Random(seed);
        List<Example> examples = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int length = i % 10 == 0 ? i / 10 : random.nextInt(1, 200); // 0, 1, 2, … among them
            int[] ids = random.ints(length, 0, Integer.MAX_VALUE).toArray();
            BitSet labelled = new BitSet();
            int first = random.nextInt(length + 1);
            labelled.set(first, random.nextInt(first, length + 1));
            String file = random.nextBoolean() ? "a" : "b";
            examples.add(new Example(ids, labelled, file, i + 1, length + i % 3, i % 2 == 0));
        }
        return examples;
    }

    @ParameterizedTest
    @CsvSource({"1000000000, false", "100000, true", "0, true"})
    void examples_comeBackAsTheyWere(long memoryBytes, boolean spills) {
        ExampleStore store = new ExampleStore(memoryBytes);
        List<Example> examples = examples(2000, 7);
        examples.forEach(store::add);
        store.flush();
        assertThat(store.isSpilled()).isEqualTo(spills);
        assertThat(store.size()).isEqualTo(2000);
        int[] backwards = IntStream.range(0, 2000).map(i -> 1999 - i).toArray();
        ExampleList list = new ExampleList(store, backwards);
        for (int i = 0; i < 2000; i++) {
            Example example = list.get(i);
            Example expected = examples.get(1999 - i);
            assertThat(example.ids()).isEqualTo(expected.ids());
            assertThat(example.labelled()).isEqualTo(expected.labelled());
            assertThat(example.file()).isEqualTo(expected.file());
            assertThat(example.line()).isEqualTo(expected.line());
            assertThat(example.fullLength()).isEqualTo(expected.fullLength());
            assertThat(example.endCut()).isEqualTo(expected.endCut());
            assertThat(list.lengths()[i]).isEqualTo(expected.length());
        }
    }

    @Test
    void exampleBeyondTheBuffer_isKept() {
        ExampleStore store = new ExampleStore(0);
        int[] ids = IntStream.range(0, 1 << 20).toArray();
        store.add(new Example(ids, new BitSet(), "a", 1, ids.length, false));
        store.add(new Example(new int[] {5}, BitSet.valueOf(new long[] {1}), "a", 2, 1, false));
        store.flush();
        assertThat(store.get(0).ids()).isEqualTo(ids);
        assertThat(store.get(0).labelled().isEmpty()).isTrue();
        assertThat(store.get(1).labelled().get(0)).isTrue();
    }
}

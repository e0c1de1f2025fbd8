package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.Test;

class BatchTest {
    private static Example example(int labelFrom, int... ids) {
        BitSet labelled = new BitSet();
        labelled.set(labelFrom, ids.length);
        return new Example(ids, labelled, "a.jsonl", 1, ids.length, false);
    }

    @Test
    void rows_arePaddedOnTheRight() {
        Batch batch = Batch.of(List.of(example(1, 7, 8, 2), example(0, 9)), 2, 1);
        assertThat(batch.time()).isEqualTo(3);
        assertThat(batch.inputIds()).containsExactly(7, 8, 2, 9, 2, 2);
        assertThat(batch.labels()).containsExactly(-100, 8, 2, 9, -100, -100);
        // The first row's own 2, which is the pad id too, stays seen.
        assertThat(batch.attentionMask()).containsExactly(true, true, true, true, false, false);
        assertThat(batch.realTokens()).isEqualTo(4);
    }

    @Test
    void labelInTheFirstColumn_doesNotEnterTheLoss() {
        Example first = example(0, 5, 6, 7);
        Batch batch = Batch.of(List.of(first, example(1, 9, 9)), 0, 1);
        assertThat(batch.labelTokens()).isEqualTo(3);
        assertThat(first.labelTokens()).isEqualTo(2);
    }

    @Test
    void multiple_roundsTimeUp() {
        assertThat(Batch.of(List.of(example(0, 1, 2, 3)), 0, 8).time()).isEqualTo(8);
        assertThat(Batch.of(List.of(example(0, 1, 2, 3, 4, 5, 6, 7, 8)), 0, 8).time()).isEqualTo(8);
        assertThat(Batch.of(List.of(example(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)), 0, 8).time())
                .isEqualTo(16);
    }

    @Test
    void shapesThatDisagree_areRefused() {
        assertThatThrownBy(() -> Batch.of(List.of(), 0, 1))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new Batch(2, 2, new int[4], new int[3], new boolean[4]))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("batch [2, 2] with 4 ids, 3 labels and 4 mask values");
    }

    @Test
    void packedRow_restartsAtEachExampleAndLearnsNoFirstToken() {
        Batch batch =
                Batch.packed(
                        List.of(
                                List.of(example(0, 5, 6, 7), example(0, 8, 9)),
                                List.of(example(1, 3, 4))),
                        2,
                        6);
        assertThat(batch.batch()).isEqualTo(2);
        assertThat(batch.inputIds()).containsExactly(5, 6, 7, 8, 9, 2, 3, 4, 2, 2, 2, 2);
        assertThat(batch.starts()).containsExactly(0, 0, 0, 3, 3, 5, 0, 0, 2, 2, 2, 2);
        assertThat(batch.labels())
                .containsExactly(5, 6, 7, -100, 9, -100, -100, 4, -100, -100, -100, -100);
        // as many as of the examples by themselves
        assertThat(batch.labelTokens()).isEqualTo(2 + 1 + 1);
        assertThat(batch.realTokens()).isEqualTo(7);
    }
}

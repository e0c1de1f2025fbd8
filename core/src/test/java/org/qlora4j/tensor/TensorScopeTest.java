package org.qlora4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Who frees a tensor. Every test must leave no bytes behind. */
class TensorScopeTest {
    private long liveBefore;

    @BeforeEach
    void countBytes() {
        liveBefore = NativeMemory.liveBytes();
    }

    @AfterEach
    void noBytesAreLeft() {
        assertThat(NativeMemory.liveBytes()).isEqualTo(liveBefore);
    }

    private static Tensor tensor() {
        return Tensors.zeros(DType.F32, 4);
    }

    @Test
    void closedScope_closesItsTensors() {
        Tensor tensor;
        try (TensorScope scope = TensorScope.open()) {
            tensor = tensor();
            assertThat(NativeMemory.liveBytes() - liveBefore).isEqualTo(16);
        }
        assertThat(tensor.isClosed()).isTrue();
    }

    @Test
    void promotedTensor_diesWithTheScopeAround() {
        Tensor tensor;
        try (TensorScope outer = TensorScope.open()) {
            try (TensorScope inner = TensorScope.open()) {
                tensor = inner.promote(tensor());
            }
            assertThat(tensor.isClosed()).isFalse();
        }
        assertThat(tensor.isClosed()).isTrue();
    }

    @Test
    void promotingATensorOfAnotherScope_changesNothing() {
        try (TensorScope outer = TensorScope.open()) {
            Tensor mine = tensor();
            try (TensorScope inner = TensorScope.open()) {
                assertThat(inner.promote(mine)).isSameAs(mine);
            }
            assertThat(mine.isClosed()).isFalse();
        }
    }

    @Test
    void promotingFromTheOutermostScope_throws() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor tensor = tensor();
            assertThatThrownBy(() -> scope.promote(tensor))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("release the tensor instead");
        }
    }

    @Test
    void releasedTensor_livesUntilItIsClosed() {
        Tensor tensor;
        try (TensorScope scope = TensorScope.open()) {
            tensor = TensorScope.release(tensor());
            TensorScope.release(tensor); // again: nothing happens
        }
        assertThat(tensor.isClosed()).isFalse();
        tensor.close();
        tensor.close();
        assertThat(tensor.isClosed()).isTrue();
    }

    /** Closing and releasing in the middle must leave the others where they are. */
    @Test
    void manyTensorsLeavingInAnyOrder_keepTheRestOwned() {
        Tensor[] tensors = new Tensor[40];
        try (TensorScope scope = TensorScope.open()) {
            for (int i = 0; i < tensors.length; i++) {
                tensors[i] = tensor();
            }
            java.util.Random random = new java.util.Random(3);
            for (int i = 0; i < 30; i++) {
                Tensor t = tensors[random.nextInt(tensors.length)];
                if (random.nextBoolean()) {
                    t.close();
                } else if (!t.isClosed()) {
                    TensorScope.release(t);
                }
            }
        }
        for (Tensor t : tensors) {
            if (!t.isClosed()) {
                assertThat(t.scope).isNull();
                t.close();
            }
        }
    }

    @Test
    void scopesClosedInTheWrongOrder_throw() {
        TensorScope outer = TensorScope.open();
        TensorScope inner = TensorScope.open();
        assertThatThrownBy(outer::close)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("reverse order");
        inner.close();
        inner.close(); // again: nothing happens
        outer.close();
    }

    @Test
    void scopeClosedOnAnotherThread_throws() throws InterruptedException {
        AtomicReference<@Nullable Throwable> thrown = new AtomicReference<>();
        try (TensorScope scope = TensorScope.open()) {
            Thread other =
                    new Thread(() -> {
                        try {
                            scope.close();
                        } catch (IllegalStateException e) {
                            thrown.set(e);
                        }
                    });
            other.start();
            other.join();
        }
        assertThat(thrown.get()).hasMessageContaining("on their own thread");
    }

    @Test
    void tensorWithoutScope_throwsAndLeavesNothing() {
        assertThatThrownBy(TensorScopeTest::tensor)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("no TensorScope is open on thread");
    }

    @Test
    void safetyNet_countsWhatItHadToFree() {
        long before = NativeMemory.freedBySafetyNet();
        try (TensorScope net = TensorScope.openSafetyNet()) {
            tensor();
            tensor().close();
            TensorScope.release(tensor()).close();
            try (TensorScope scope = TensorScope.open()) {
                tensor();
            }
        }
        assertThat(NativeMemory.freedBySafetyNet() - before).isEqualTo(1);
    }

    @Test
    void exceptionInScope_freesAndPassesOn() {
        assertThatThrownBy(
                        () -> {
                            try (TensorScope scope = TensorScope.open()) {
                                tensor();
                                throw new ArithmeticException("on purpose");
                            }
                        })
                .isInstanceOf(ArithmeticException.class);
    }

    @Test
    void views_holdTheMemoryUntilTheLastIsClosed() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor x = Tensors.of(new float[] {1, 2, 3, 4}, 2, 2);
            Tensor row = x.select(0, 1);
            Tensor same = x.contiguous();
            Tensor turned = x.t();
            Tensor copy = turned.contiguous();
            turned.close();
            assertThat(NativeMemory.liveBytes() - liveBefore).isEqualTo(32);
            x.close();
            same.close();
            assertThat(row.toFloats()).containsExactly(3, 4);
            assertThat(NativeMemory.liveBytes() - liveBefore).isEqualTo(32);
            row.close();
            assertThat(NativeMemory.liveBytes() - liveBefore).isEqualTo(16);
            assertThat(copy.toFloats()).containsExactly(1, 3, 2, 4);
        }
    }

    @Test
    void peak_isTheMostHeldAtOnce() {
        try (TensorScope scope = TensorScope.open()) {
            NativeMemory.resetPeak();
            try (TensorScope inner = TensorScope.open()) {
                tensor();
                tensor();
            }
            tensor();
        }
        assertThat(NativeMemory.peakBytes() - liveBefore).isEqualTo(32);
    }

    @Test
    void closedTensor_saysSoWhenUsed() {
        Tensor tensor;
        try (TensorScope scope = TensorScope.open()) {
            tensor = tensor();
        }
        assertThatThrownBy(tensor::abs)
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("the tensor F32[4] was closed");
        assertThatThrownBy(tensor::segment).isInstanceOf(IllegalStateException.class);
        assertThat(Objects.requireNonNull(tensor)).hasToString("F32[4] (closed)");
    }
}

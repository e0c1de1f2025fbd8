package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

class ParameterTest {
    private long liveBefore;

    @BeforeEach
    void countBytes() {
        liveBefore = NativeMemory.liveBytes();
    }

    @AfterEach
    void noBytesAreLeft() {
        assertThat(NativeMemory.liveBytes()).isEqualTo(liveBefore);
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void changedMaster_showsInValueAfterRefresh(DType compute) {
        try (TensorScope scope = TensorScope.open();
                Parameter p = trainable(compute)) {
            p.master().fill(0.5);
            p.refresh();
            assertThat(p.value().dtype()).isEqualTo(compute);
            assertThat(p.value().toFloats()).containsOnly(0.5f);
            assertThat(p.grad().toFloats()).containsOnly(0);
        }
    }

    /** As an optimizer does that sees all parameters as one. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16"})
    void movedIntoALargerTensor_keepsValuesAndFollowsIt(DType compute) {
        try (TensorScope scope = TensorScope.open();
                Parameter p = trainable(compute)) {
            Tensor masters = Tensors.zeros(DType.F32, 10);
            Tensor grads = Tensors.full(7, DType.F32, 10);
            p.dropGrad();
            p.moveMaster(masters.narrow(0, 2, 3));
            p.useGrad(grads.narrow(0, 2, 3));
            assertThat(masters.toFloats()).containsExactly(0, 0, 1, 2, 3, 0, 0, 0, 0, 0);
            assertThat(p.grad().toFloats()).containsExactly(7, 7, 7);
            masters.fill(0.25);
            p.refresh();
            assertThat(p.value().toFloats()).containsOnly(0.25f);
            p.zeroGrad();
            assertThat(grads.toFloats()).containsExactly(7, 7, 0, 0, 0, 7, 7, 7, 7, 7);
        }
    }

    @Test
    void frozen_hasNeitherMasterNorGradient() {
        try (TensorScope scope = TensorScope.open();
                Parameter p = Parameter.frozen("w", Tensors.zeros(DType.BF16, 3))) {
            assertThat(p.trainable()).isFalse();
            assertThatThrownBy(p::grad)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("w is frozen");
            assertThatThrownBy(p::master).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void masterInBf16_isRefused() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor bf16 = Tensors.zeros(DType.BF16, 3);
            assertThatThrownBy(() -> Parameter.trainable("w", bf16, DType.BF16))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("w: the master copy must be F32, not BF16");
        }
    }

    private static Parameter trainable(DType compute) {
        return Parameter.trainable("w", Tensors.of(new float[] {1, 2, 3}, 3), compute);
    }
}

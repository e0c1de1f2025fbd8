package org.qlora4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a handle says of its tensor; libtorch's own arithmetic is not tested again. */
class TensorTest {
    private final TensorScope scope = TensorScope.open();

    @AfterEach
    void closeScope() {
        scope.close();
    }

    @ParameterizedTest
    @EnumSource
    void everyType_hasItsSizeAndSurvivesAConversion(DType dtype) {
        Tensor x = Tensors.of(new float[] {0, 1, 1, 0, 1, 1}, 2, 3).to(dtype);
        assertThat(x.dtype()).isEqualTo(dtype);
        assertThat(x.byteSize()).isEqualTo(6L * dtype.bytes());
        assertThat(x.segment().byteSize()).isEqualTo(x.byteSize());
        assertThat(x.toFloats()).containsExactly(0, 1, 1, 0, 1, 1);
        assertThat(x.toLongs()).containsExactly(0, 1, 1, 0, 1, 1);
    }

    @Test
    void shape_isACopy() {
        Tensor x = Tensors.zeros(DType.F32, 2, 3, 4);
        x.shape()[0] = 9;
        assertThat(x.shape()).containsExactly(2, 3, 4);
        assertThat(x.size(-1)).isEqualTo(4);
        assertThat(x.rank()).isEqualTo(3);
        assertThat(x.count()).isEqualTo(24);
    }

    @Test
    void scalarsAndEmptyTensors_haveShapesToo() {
        Tensor scalar = Tensors.full(3, DType.F32);
        assertThat(scalar.shape()).isEmpty();
        assertThat(scalar.count()).isEqualTo(1);
        assertThat(scalar.item()).isEqualTo(3);
        Tensor empty = Tensors.zeros(DType.F32, 0, 3);
        assertThat(empty.count()).isZero();
        assertThat(empty.toFloats()).isEmpty();
    }

    @Test
    void reshape_sharesMemoryWhereItCan() {
        Tensor x = Tensors.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
        long live = NativeMemory.liveBytes();
        Tensor shared = x.reshape(3, 2);
        assertThat(NativeMemory.liveBytes()).isEqualTo(live);
        Tensor copied = x.t().reshape(6);
        assertThat(NativeMemory.liveBytes()).isEqualTo(live + 24);
        x.fill(0);
        assertThat(shared.toFloats()).containsOnly(0);
        assertThat(copied.toFloats()).containsExactly(1, 4, 2, 5, 3, 6);
    }

    @Test
    void conversionToItsOwnType_sharesMemory() {
        Tensor x = Tensors.of(new float[] {1, 2}, 2);
        long live = NativeMemory.liveBytes();
        Tensor same = x.to(DType.F32);
        assertThat(NativeMemory.liveBytes()).isEqualTo(live);
        x.fill(7);
        assertThat(same.toFloats()).containsOnly(7);
        x.close();
        assertThat(same.toFloats()).containsOnly(7);
    }

    @Test
    void strided_isReadInOrderButHasNoSegment() {
        Tensor x = Tensors.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3).t();
        assertThat(x.toFloats()).containsExactly(1, 4, 2, 5, 3, 6);
        assertThatThrownBy(x::segment)
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("F32[3, 2] is not contiguous");
    }

    @Test
    void narrowedView_hasItsOwnSegment() {
        Tensor x = Tensors.of(new int[] {10, 11, 12, 13}, 4).narrow(0, 1, 2);
        assertThat(x.segment().toArray(java.lang.foreign.ValueLayout.JAVA_INT))
                .containsExactly(11, 12);
    }

    @Test
    void allFinite_seesNanAndInfinity() {
        assertThat(Tensors.full(Float.MAX_VALUE, DType.F32, 1000).allFinite()).isTrue();
        assertThat(Tensors.of(new float[] {1, Float.NaN}, 2).allFinite()).isFalse();
        assertThat(Tensors.of(new float[] {1, Float.NEGATIVE_INFINITY}, 2).allFinite()).isFalse();
        assertThat(Tensors.of(new int[] {1}, 1).allFinite()).isTrue();
    }

    @Test
    void bytesOfAnotherCount_areRefused() {
        MemorySegment bytes = MemorySegment.ofArray(new byte[7]);
        assertThatThrownBy(() -> Tensors.fromBytes(DType.F32, new long[] {2}, bytes))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("7 bytes for a tensor of 8 bytes");
    }

    @Test
    void topk_givesValuesAndIndicesInFallingOrder() {
        Tensor[] top = Tensors.of(new float[] {3, 9, 1, 7}, 1, 4).topk(2);
        assertThat(top[0].toFloats()).containsExactly(9, 7);
        assertThat(top[1].toLongs()).containsExactly(1, 3);
        assertThat(top[1].dtype()).isEqualTo(DType.I64);
    }

    @Test
    void bucketize_countsBoundariesStrictlyBelow() {
        Tensor boundaries = Tensors.of(new float[] {-1, 0, 2}, 3);
        Tensor x = Tensors.of(new float[] {-2, -1, -0.5f, 0, 1, 2, 3}, 7);
        assertThat(x.bucketize(boundaries).toLongs()).containsExactly(0, 0, 1, 1, 2, 2, 3);
    }
}

package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

class WorkspaceTest {
    @Test
    void tensorThatCameBack_isGivenAgainForItsTypeAndShapeAlone() {
        try (TensorScope scope = TensorScope.open();
                Workspace workspace = new Workspace()) {
            Tensor first = workspace.take(DType.F32, 2, 3);
            assertThat(workspace.takeBack(first)).isTrue();
            assertThat(workspace.take(DType.F32, 3, 2)).isNotSameAs(first);
            assertThat(workspace.take(DType.BF16, 2, 3)).isNotSameAs(first);
            assertThat(workspace.take(DType.F32, 2, 3)).isSameAs(first);
            assertThat(workspace.take(DType.F32, 2, 3)).isNotSameAs(first);
        }
    }

    @Test
    void tensorOfSomebodyElse_isNotTaken() {
        try (TensorScope scope = TensorScope.open();
                Workspace workspace = new Workspace()) {
            assertThat(workspace.takeBack(Tensors.zeros(DType.F32, 1))).isFalse();
        }
    }

    @Test
    void secondStep_takesNoMemoryAndTheSameTensors() {
        try (TensorScope scope = TensorScope.open()) {
            long before = NativeMemory.liveBytes();
            try (Workspace workspace = new Workspace()) {
                Tensor x = Tensors.of(new float[] {1, 2}, 1, 2);
                step(workspace, x);
                long afterOne = NativeMemory.liveBytes();
                step(workspace, x);
                assertThat(NativeMemory.liveBytes()).isEqualTo(afterOne);
                x.close();
            }
            assertThat(NativeMemory.liveBytes()).isEqualTo(before);
        }
    }

    private static void step(Workspace workspace, Tensor x) {
        try (Tape tape = Tape.inference(workspace)) {
            Var doubled = Add.apply(tape, tape.constant(x), tape.constant(x));
            Var fourfold = Add.apply(tape, doubled, doubled);
            assertThat(fourfold.value().toFloats()).containsExactly(4, 8);
        }
    }
}

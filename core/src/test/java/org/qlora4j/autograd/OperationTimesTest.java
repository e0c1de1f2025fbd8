package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.qlora4j.kernel.Gate;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

class OperationTimesTest {
    @Test
    void forwardAndBackward_areCountedByOperation() {
        OperationTimes times = OperationTimes.ofThisThread();
        times.reset();
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.recording(0)) {
            Var x = tape.leaf(Tensors.zeros(DType.F32, 50, 50));
            Var y = GatedMlp.apply(tape, Gate.SILU, Add.apply(tape, x, x), Add.apply(tape, x, x));
            tape.backward(y, Tensors.zeros(DType.F32, 50, 50));
            java.util.Objects.requireNonNull(x.takeGrad()).close();
        }
        assertThat(times.snapshot().keySet()).containsExactlyInAnyOrder("add", "gatedMlp");
        OperationTimes.Entry add = java.util.Objects.requireNonNull(times.snapshot().get("add"));
        assertThat(add.calls()).isEqualTo(2);
        assertThat(add.forwardNanos()).isPositive();
        assertThat(add.backwardNanos()).isPositive();
        times.reset();
        assertThat(times.snapshot()).isEmpty();
    }
}

package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** Who owns what, and when it goes. Every test must leave no bytes behind. */
class TapeTest {
    private long liveBefore;

    @BeforeEach
    void countBytes() {
        liveBefore = NativeMemory.liveBytes();
    }

    @AfterEach
    void noBytesAreLeft() {
        assertThat(NativeMemory.liveBytes()).isEqualTo(liveBefore);
    }

    private static Tensor ones() {
        return Tensors.full(1, DType.F32, 2, 3);
    }

    /** An operation that doubles, and saves what it is given. */
    private static Var twice(Tape tape, Var x) {
        return tape.operation(
                "twice",
                x.needsGrad(),
                call -> {
                    call.save(x.value());
                    call.backward(gradient -> x.accumulate(gradient.times(2)));
                    return x.value().times(2);
                });
    }

    private static float[] grad(Var leaf) {
        try (Tensor gradient = Objects.requireNonNull(leaf.takeGrad(), "no gradient came")) {
            return gradient.toFloats();
        }
    }

    @Test
    void tapeClosedWithoutBackward_freesEverything() {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.recording(0)) {
            twice(tape, twice(tape, tape.leaf(ones())));
        }
    }

    @Test
    void closedInTheMiddleOfBackward_freesEverything() {
        try (TensorScope scope = TensorScope.open()) {
            try (Tape tape = Tape.recording(0)) {
                Var x = tape.leaf(ones());
                Var a = twice(tape, x);
                Var failing =
                        tape.operation(
                                "failing",
                                true,
                                call -> {
                                    call.save(ones());
                                    call.backward(gradient -> {
                                        a.accumulate(gradient.copy());
                                        throw new ArithmeticException("on purpose");
                                    });
                                    return a.value().copy();
                                });
                Var out = twice(tape, failing);
                assertThatThrownBy(() -> tape.backward(out, ones()))
                        .isInstanceOf(ArithmeticException.class);
            }
        }
    }

    @Test
    void forwardThatThrows_leavesNothing() {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.recording(0)) {
            assertThatThrownBy(() ->
                            tape.operation(
                                    "failing",
                                    true,
                                    call -> {
                                        call.save(ones());
                                        throw new ArithmeticException("on purpose");
                                    }))
                    .isInstanceOf(ArithmeticException.class);
        }
    }

    @ParameterizedTest(name = "recording {0}, checkpoint {1}")
    @CsvSource({"true, true", "true, false", "false, false"})
    void blockThatThrows_leavesNothing(boolean recording, boolean checkpoint) {
        try (TensorScope scope = TensorScope.open();
                Tape tape = recording ? Tape.recording(0) : Tape.inference()) {
            Var x = twice(tape, tape.leaf(ones()));
            assertThatThrownBy(() ->
                            tape.block(
                                    x,
                                    checkpoint,
                                    (t, h) -> {
                                        twice(t, h);
                                        throw new ArithmeticException("on purpose");
                                    }))
                    .isInstanceOf(ArithmeticException.class);
        }
    }

    @ParameterizedTest(name = "what backward passes read: {0}; runs of each forward pass: {1}")
    @CsvSource({
        "RESULT OPERANDS NOTHING, 2 1 1",
        "RESULT OPERANDS NOTHING NOTHING, 2 1 1 1",
        "OPERANDS OPERANDS NOTHING, 2 1 1",
        "OPERANDS NOTHING OPERANDS, 2 2 1",
        "OPERANDS NOTHING RESULT, 2 2 2"
    })
    void checkpointRunAgain_leavesOutWhatItsBackwardPassDoesNotRead(String reads, String runs) {
        String[] operations = reads.split(" ");
        int[] counts = new int[operations.length];
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.recording(0)) {
            Var x = tape.leaf(ones());
            Var out =
                    tape.block(
                            x,
                            true,
                            (t, h) -> {
                                for (int i = 0; i < operations.length; i++) {
                                    h = doubled(t, h, Tape.Reads.valueOf(operations[i]), counts, i);
                                }
                                return h;
                            });
            tape.backward(out, ones());
            assertThat(counts)
                    .containsExactly(
                            Stream.of(runs.split(" ")).mapToInt(Integer::parseInt).toArray());
            assertThat(grad(x)).containsOnly(1 << operations.length);
        }
    }

    /** An operation that doubles, and counts how often it does. */
    private static Var doubled(Tape tape, Var x, Tape.Reads reads, int[] counts, int number) {
        return tape.operation(
                "doubled",
                x.needsGrad(),
                call -> {
                    call.backward(gradient -> x.accumulate(gradient.times(2)));
                    if (call.leavesOut(reads)) {
                        return Tensors.empty(DType.F32, x.value().shape());
                    }
                    counts[number]++;
                    return x.value().times(2);
                });
    }

    @ParameterizedTest(name = "checkpoint {0}")
    @ValueSource(booleans = {false, true})
    void blockThatReturnsItsInput_leavesTheTensorToItsOwner(boolean checkpoint) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor mine = ones();
            try (Tape tape = Tape.recording(0)) {
                Var x = tape.leaf(mine);
                Var out = tape.block(x, checkpoint, (t, h) -> h);
                assertThat(out.value().toFloats()).containsOnly(1);
                Var doubled = twice(tape, out);
                tape.backward(doubled, ones());
                assertThat(grad(x)).containsOnly(2);
            }
            assertThat(mine.isClosed()).isFalse();
        }
    }

    @Test
    void blockOnAnInferenceTape_freesAllButItsResult() {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.inference()) {
            Tensor[] inner = new Tensor[1];
            Var out =
                    tape.block(
                            tape.constant(ones()),
                            true,
                            (t, h) -> {
                                Var first = twice(t, h);
                                inner[0] = first.value();
                                return twice(t, first);
                            });
            assertThat(Objects.requireNonNull(inner[0]).isClosed()).isTrue();
            assertThat(out.value().toFloats()).containsOnly(4);
        }
    }

    @Test
    void blockInsideABlock_keepsTheOuterValues() {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.recording(0)) {
            Var x = tape.leaf(ones());
            Var out =
                    tape.block(
                            x,
                            false,
                            (t, h) -> {
                                Var before = twice(t, h);
                                Var nested = t.block(before, true, (u, g) -> twice(u, twice(u, g)));
                                return Add.apply(t, nested, before);
                            });
            assertThat(out.value().toFloats()).containsOnly(10);
            tape.backward(out, ones());
            assertThat(grad(x)).containsOnly(10);
        }
    }

    @Test
    void takenResult_outlivesItsTape() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor taken;
            try (Tape tape = Tape.inference()) {
                taken = tape.take(twice(tape, tape.constant(ones())));
            }
            assertThat(taken.toFloats()).containsOnly(2);
            taken.close();
        }
    }

    /** Here a value that the tape never owned. */
    @Test
    void takenConstant_isTheCallersToo() {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.inference()) {
            Tensor mine = ones();
            tape.take(tape.constant(mine)).close();
            assertThat(mine.isClosed()).isFalse();
        }
    }

    @Test
    void keptTensor_goesWithTheTape() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor kept;
            try (Tape tape = Tape.recording(0)) {
                kept = tape.keep(ones());
                assertThat(kept.isClosed()).isFalse();
            }
            assertThat(kept.isClosed()).isTrue();
        }
    }

    @Test
    void constants_getNoGradientAndNoNode() {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.recording(0)) {
            Var constant = tape.constant(ones());
            Var out = twice(tape, constant);
            assertThat(out.needsGrad()).isFalse();
            tape.backward(out, ones());
            assertThat(constant.takeGrad()).isNull();
            assertThat(out.value().isClosed()).as("no node: the value stays").isFalse();
        }
    }

    @Test
    void valueThatReachesNoLoss_getsNoGradient() {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.recording(0)) {
            Var x = tape.leaf(ones());
            Var y = tape.leaf(ones());
            Var loss = twice(tape, x);
            twice(tape, y);
            tape.backward(loss, ones());
            assertThat(y.takeGrad()).isNull();
            assertThat(grad(x)).containsOnly(2);
        }
    }

    @Test
    void backwardOfALoss_startsFromOne() {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.recording(0)) {
            Var x = tape.leaf(Tensors.full(3, DType.F32));
            tape.backward(twice(tape, twice(tape, x)));
            assertThat(grad(x)).containsOnly(4);
        }
    }

    /**
     * The gradient that a checkpointed block hands through may be shared with another value, whose
     * own must not change when more is added here.
     */
    @Test
    void gradientPassedThroughACheckpoint_isNotOverwritten() {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.recording(0)) {
            Var x = tape.leaf(ones());
            Var other = tape.leaf(ones());
            Var doubled = twice(tape, x);
            Tensor zero = Tensors.zeros(DType.F32, 2, 3);
            Var passed = tape.block(x, true, (t, h) -> Add.apply(t, h, t.constant(zero)));
            Var sum = Add.apply(tape, passed, other);
            tape.backward(Add.apply(tape, sum, doubled), ones());
            assertThat(grad(x)).containsOnly(3);
            assertThat(grad(other)).containsOnly(1);
        }
    }

    @Test
    void secondMicroBatch_addsToTheGradients() {
        try (TensorScope scope = TensorScope.open();
                Parameter weight =
                        Parameter.trainable(
                                "w", Tensors.of(new float[] {1, 2, 3}, 1, 3), DType.F32)) {
            for (int i = 1; i <= 2; i++) {
                try (Tape tape = Tape.recording(i)) {
                    Var x = tape.constant(Tensors.of(new float[] {1, 10, 100}, 1, 3));
                    Var y = Linear.apply(tape, x, new Weight.Dense(weight), null, null);
                    tape.backward(y);
                }
            }
            assertThat(weight.grad().toFloats()).containsExactly(2, 20, 200);
            weight.zeroGrad();
            assertThat(weight.grad().toFloats()).containsOnly(0);
        }
    }

    @Test
    void usingAValueAfterItsBackward_throws() {
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.recording(0)) {
            Var x = tape.leaf(ones());
            Var out = twice(tape, x);
            tape.backward(out, ones());
            assertThat(grad(x)).containsOnly(2);
            assertThatThrownBy(() -> out.value().toFloats())
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("was closed");
        }
    }
}

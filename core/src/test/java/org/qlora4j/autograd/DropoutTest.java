package org.qlora4j.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.qlora4j.testing.Close.assertClose;

import java.util.Objects;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Raw;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Samples;

class DropoutTest {
    private static final int COUNT = 1 << 18;

    @ParameterizedTest(name = "p {0}")
    @ValueSource(doubles = {0.001, 0.05, 0.1, 0.5, 0.9})
    void share_liesWithinBinomialBounds(double p) {
        for (long key = 1; key <= 8; key++) {
            float[] mask = mask(Dropout.mix(key), p, COUNT);
            int zeros = 0;
            for (float m : mask) {
                if (m == 0) {
                    zeros++;
                } else {
                    assertThat(m).isEqualTo((float) (1 / (1 - p)));
                }
            }
            double sigma = Math.sqrt(COUNT * p * (1 - p));
            assertThat(Math.abs(zeros - COUNT * p)).as("key %d", key).isLessThan(4.5 * sigma);
        }
    }

    @Test
    void oneKey_givesOneMaskWhateverTheShape() {
        assertThat(mask(9, 0.3, 1000)).isEqualTo(mask(9, 0.3, 1000));
        assertThat(mask(9, 0.3, 10, 100)).isEqualTo(mask(9, 0.3, 1000));
    }

    /** Those of one tape, of tapes with neighbouring keys, and a mask against itself. */
    @Test
    void differentKeys_giveUncorrelatedMasks() {
        double p = 0.5;
        try (Tape first = Tape.recording(1234);
                Tape second = Tape.recording(1235)) {
            float[] mask = mask(first.nextDropoutKeys()[0], p, COUNT);
            for (int i = 0; i < 40; i++) {
                Tape tape = i % 2 == 0 ? first : second;
                float[] other = mask(tape.nextDropoutKeys()[0], p, COUNT);
                assertThat(Math.abs(correlation(mask, other, 0)))
                        .as("mask %d", i)
                        .isLessThan(4.5 / Math.sqrt(COUNT));
            }
        }
    }

    @Test
    void mask_isUncorrelatedWithItselfSomePlacesOn() {
        float[] mask = mask(Dropout.mix(1234), 0.5, COUNT);
        for (int lag : new int[] {1, 2, 3, 64, 576, 1024, 1536}) {
            assertThat(Math.abs(correlation(mask, mask, lag)))
                    .as("lag %d", lag)
                    .isLessThan(4.5 / Math.sqrt(COUNT));
        }
    }

    private static double correlation(float[] a, float[] b, int lag) {
        double sum = 0;
        for (int i = 0; i + lag < a.length; i++) {
            sum += (a[i] - 1) * (b[i + lag] - 1); // masks of 0 and 2: mean 1, variance 1
        }
        return sum / (a.length - lag);
    }

    private static float[] mask(long key, double p, long... shape) {
        try (TensorScope scope = TensorScope.open()) {
            return Dropout.mask(new long[] {key}, p, DType.F32, shape).toFloats();
        }
    }

    @Test
    void operationsOfATape_haveKeysOfTheirOwn() {
        try (Tape a = Tape.recording(1);
                Tape b = Tape.recording(1);
                Tape c = Tape.recording(2)) {
            long first = a.nextDropoutKeys()[0];
            long second = a.nextDropoutKeys()[0];
            assertThat(first).isNotEqualTo(second);
            assertThat(b.nextDropoutKeys()[0]).isEqualTo(first);
            assertThat(c.nextDropoutKeys()[0]).isNotIn(first, second);
        }
    }

    @Test
    void inferenceTape_appliesNone() {
        try (TensorScope scope = TensorScope.open();
                Tape inference = Tape.inference();
                Tape training = Tape.recording(5);
                Update update = new Update(16, 16, 16, true)) {
            Tensor ones = Tensors.full(1, DType.F32, 4, 16);
            assertThat(update.apply(inference, inference.constant(ones)).value().toFloats())
                    .containsOnly(1);
            assertThat(update.apply(training, training.constant(ones)).value().toFloats())
                    .containsOnly(0, 2);
        }
    }

    /** A linear layer of zeros with an update under dropout of one half. */
    private static final class Update implements AutoCloseable {
        final Parameter w;
        final Parameter a;
        final Parameter b;

        Update(long in, long rank, long out, boolean identity) {
            Tensor zeros = Tensors.zeros(DType.F32, out, in);
            w = Parameter.frozen("w", zeros);
            a = trainable("a", 81, identity, rank, in);
            b = trainable("b", 82, identity, out, rank);
        }

        private static Parameter trainable(
                String name, long seed, boolean identity, long... shape) {
            Tensor value =
                    identity
                            ? Tensors.zeros(DType.F32, shape)
                            : Samples.normal(DType.F32, seed, shape);
            for (int i = 0; identity && i < shape[0]; i++) {
                value.narrow(0, i, 1).narrow(1, i, 1).fill(1);
            }
            return Parameter.trainable(name, value, DType.F32);
        }

        Var apply(Tape tape, Var x) {
            return Linear.apply(tape, x, new Weight.Dense(w), null, new LoraFactors(a, b, 1, 0.5));
        }

        @Override
        public void close() {
            w.close();
            a.close();
            b.close();
        }
    }

    /** The mask is read off a layer that passes its input through; the judge is libtorch. */
    @Test
    void forwardAndBackward_useTheSameMask() {
        try (TensorScope scope = TensorScope.open();
                PointerScope pointers = new PointerScope();
                Update through = new Update(16, 16, 16, true);
                Update update = new Update(16, 3, 11, false)) {
            Tensor mask;
            try (Tape tape = Tape.recording(5)) {
                Var ones = tape.leaf(Tensors.full(1, DType.F32, 40, 16));
                Var out = through.apply(tape, ones);
                mask = out.value().copy();
                tape.backward(out, Tensors.full(1, DType.F32, 40, 16));
                try (Tensor gradient = Objects.requireNonNull(ones.takeGrad())) {
                    assertThat(gradient.toFloats()).isEqualTo(mask.toFloats());
                }
            }
            Tensor x = Samples.normal(DType.F32, 83, 40, 16);
            Tensor dy = Samples.normal(DType.F32, 84, 40, 11);
            var rawX = Raw.of(x.copy()).set_requires_grad(true);
            var rawA = Raw.of(update.a.value().copy()).set_requires_grad(true);
            var rawB = Raw.of(update.b.value().copy()).set_requires_grad(true);
            var expected = torch.linear(torch.linear(rawX.mul(Raw.of(mask)), rawA), rawB);
            expected.mul(Raw.of(dy)).sum().mul(new Scalar(1)).backward();
            try (Tape tape = Tape.recording(5)) {
                Var input = tape.leaf(x);
                Var out = update.apply(tape, input);
                assertClose("value", out.value(), Raw.wrap(expected), 1e-5, 0);
                tape.backward(out, dy);
                try (Tensor gradient = Objects.requireNonNull(input.takeGrad())) {
                    assertClose("x", gradient, Raw.wrap(rawX.grad()), 1e-5, 0);
                }
                assertClose("a", update.a.grad(), Raw.wrap(rawA.grad()), 1e-5, 0);
                assertClose("b", update.b.grad(), Raw.wrap(rawB.grad()), 1e-5, 0);
            }
        }
    }
}

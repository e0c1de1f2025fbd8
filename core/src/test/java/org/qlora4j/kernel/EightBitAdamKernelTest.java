package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.quant.DynamicMap;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.Samples;

/** 8-bit AdamW against its twin in numpy, against bitsandbytes, and kernel against kernel. */
class EightBitAdamKernelTest {
    private static final EightBitTable SIGNED = new EightBitTable(DynamicMap.SIGNED.values());
    private static final EightBitTable UNSIGNED = new EightBitTable(DynamicMap.UNSIGNED.values());
    private static final double[] RATES = {1e-3, 1e-2, 1e-2, 2e-4, 3e-3, 1e-2}; // the script's

    static Stream<Named<EightBitAdam>> kernels() {
        return Stream.of(
                Named.of("reference", new ReferenceEightBitAdam()),
                Named.of("vector", new VectorEightBitAdam(new Workers(3))));
    }

    private static Golden references() throws URISyntaxException {
        var url =
                EightBitAdamKernelTest.class.getResource(
                        "/org/qlora4j/optim/adamw_8bit.safetensors");
        return Golden.open(Path.of(Objects.requireNonNull(url).toURI()));
    }

    private static EightBitMoments moments(long n) {
        long blocks = EightBitMoments.blocks(n);
        return new EightBitMoments(
                Tensors.zeros(DType.U8, n),
                Tensors.zeros(DType.F32, blocks),
                SIGNED,
                Tensors.zeros(DType.U8, n),
                Tensors.zeros(DType.F32, blocks),
                UNSIGNED);
    }

    private static AdamStep step(int t, double rate, double decay) {
        return new AdamStep(
                0.9,
                0.999,
                1 - rate * decay,
                -rate / (1 - Math.pow(0.9, t)),
                1 / Math.sqrt(1 - Math.pow(0.999, t)),
                1e-8);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("kernels")
    void sixSteps_giveTheBytesOfTheTwinInNumpy(EightBitAdam kernel) throws Exception {
        Golden golden = references();
        try (TensorScope scope = TensorScope.open()) {
            Tensor weights = golden.tensor("start");
            EightBitMoments moments = moments(weights.count());
            for (int t = 1; t <= RATES.length; t++) {
                kernel.step(
                        weights,
                        golden.tensor(t + ".gradients"),
                        moments,
                        step(t, RATES[t - 1], 0.1));
                assertSame(weights, golden.tensor(t + ".weights"), "weights after " + t);
                assertSame(moments.codes1(), golden.tensor(t + ".codes1"), "codes1 after " + t);
                assertSame(moments.absmax1(), golden.tensor(t + ".absmax1"), "absmax1 after " + t);
                assertSame(moments.codes2(), golden.tensor(t + ".codes2"), "codes2 after " + t);
                assertSame(moments.absmax2(), golden.tensor(t + ".absmax2"), "absmax2 after " + t);
            }
        }
    }

    private static void assertSame(Tensor actual, Tensor expected, String what) {
        assertThat(actual.toFloats()).as(what).isEqualTo(expected.toFloats());
    }

    /** formats.md's example: gradients 0.1 and -0.2 in the first step. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("kernels")
    void firstStep_givesTheCodesWorkedOutByHand(EightBitAdam kernel) {
        try (TensorScope scope = TensorScope.open()) {
            EightBitMoments moments = moments(2);
            Tensor weights = Tensors.zeros(DType.F32, 2);
            kernel.step(
                    weights, Tensors.of(new float[] {0.1f, -0.2f}, 2), moments, step(1, 0.01, 0));
            assertThat(moments.codes1().toLongs()).containsExactly(219, 0);
            assertThat(moments.codes2().toLongs()).containsExactly(148, 255);
            assertThat(weights.toFloats())
                    .containsExactly(new float[] {-0.01f, 0.01f}, Offset.offset(1e-7f));
        }
    }

    /** Its 8-bit codes come from a coarser grid, so that the weights part by and by. */
    @Test
    void weights_stayNearThoseOfBitsandbytesOnTheCpu() throws Exception {
        Golden golden = references();
        try (TensorScope scope = TensorScope.open()) {
            float[] start = golden.tensor("start").toFloats();
            float[] ours = golden.tensor("6.weights").toFloats(); // our kernels' too, see above
            float[] peer = golden.tensor("6.peer_weights").toFloats();
            double moved = 0;
            double apart = 0;
            for (int i = 0; i < start.length; i++) {
                moved += Math.pow(peer[i] - start[i], 2);
                apart += Math.pow(ours[i] - peer[i], 2);
            }
            assertThat(Math.sqrt(apart / moved)).isLessThan(0.05);
        }
    }

    /** Lengths around a vector, a block and a task; gradients over many decades; seed 7. */
    @ParameterizedTest(name = "{0} elements")
    @ValueSource(ints = {1, 15, 16, 17, 255, 256, 257, 4096, 256 * 64, 256 * 64 + 1, 50_021})
    void anyLength_vectorEqualsReferenceInEveryBit(int n) {
        EightBitAdam vector = new VectorEightBitAdam(new Workers(3));
        EightBitAdam reference = new ReferenceEightBitAdam();
        try (TensorScope scope = TensorScope.open()) {
            Tensor a = Samples.normal(DType.F32, 7, n);
            Tensor b = a.copy();
            EightBitMoments ofA = moments(n);
            EightBitMoments ofB = moments(n);
            for (int t = 1; t <= 4; t++) {
                Tensor spread = Samples.normal(DType.F32, 20 + t, n).mulInPlace(4).exp();
                Tensor g = Samples.normal(DType.F32, 30 + t, n).mulInPlace(spread);
                vector.step(a, g, ofA, step(t, 1e-2, 0.1));
                reference.step(b, g, ofB, step(t, 1e-2, 0.1));
            }
            assertSame(a, b, "weights");
            assertSame(ofA.codes1(), ofB.codes1(), "codes1");
            assertSame(ofA.absmax1(), ofB.absmax1(), "absmax1");
            assertSame(ofA.codes2(), ofB.codes2(), "codes2");
            assertSame(ofA.absmax2(), ofB.absmax2(), "absmax2");
        }
    }

    static Stream<Arguments> tables() {
        return Stream.of(
                Arguments.of("signed", SIGNED, DynamicMap.SIGNED.values()),
                Arguments.of("unsigned", UNSIGNED, DynamicMap.UNSIGNED.values()));
    }

    /** Every entry, and both neighbours of every middle; a tie takes the lower. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("tables")
    void values_getTheCodeOfTheNearestEntry(String name, EightBitTable table, float[] values) {
        for (int code = 0; code < 256; code++) {
            assertThat(table.code(values[code])).isEqualTo(code);
            if (code < 255 && !(values[code + 1] == 0)) {
                float middle = (values[code] + values[code + 1]) * 0.5f;
                assertThat(table.code(middle)).isEqualTo(code);
                assertThat(table.code(Math.nextUp(middle))).isEqualTo(code + 1);
            }
        }
        assertThat(table.code(-1e-12f)).as("keeps its sign").isLessThan(table.zero());
    }
}

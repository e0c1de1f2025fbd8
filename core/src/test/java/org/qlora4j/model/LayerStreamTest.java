package org.qlora4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.qlora4j.autograd.DequantizationBuffer;
import org.qlora4j.autograd.Weight;
import org.qlora4j.error.FormatException;
import org.qlora4j.quant.FrozenMatrix;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/** Five layers of two weights each, which are asked for as passes over a model do. */
@Timeout(30)
class LayerStreamTest {
    private static final int LAYERS = 5;

    private final long before = NativeMemory.liveBytes();
    private final List<Integer> reads = Collections.synchronizedList(new ArrayList<>());
    private final DequantizationBuffer buffer = new DequantizationBuffer();
    private volatile int broken = -1;
    private final LayerStream stream = new LayerStream(new Source());
    private final List<Weight.Streamed> weights = new ArrayList<>();

    /** Notes which layers are read. The rows of a weight tell which one it is. */
    private final class Source implements WeightSource {
        @Override
        public String origin() {
            return "test";
        }

        @Override
        public boolean has(String name) {
            return true;
        }

        @Override
        public Tensor read(String name, long... shape) {
            throw new IllegalStateException(name);
        }

        @Override
        public boolean anyQuantized() {
            return true;
        }

        @Override
        public boolean isQuantized(String name) {
            return true;
        }

        @Override
        public @Nullable FrozenMatrix readQuantized(String name, long... shape) {
            int layer = Integer.parseInt(name.split("\\.", -1)[1]);
            if (layer == broken) {
                throw new FormatException("the disk is gone");
            }
            if (name.endsWith("up.weight")) {
                reads.add(layer);
            }
            return matrix(shape);
        }
    }

    private static QuantizedMatrix matrix(long... shape) {
        try (TensorScope scope = TensorScope.open()) {
            return QuantizedMatrix.empty(shape, QuantConfig.DEFAULT);
        }
    }

    LayerStreamTest() {
        for (int i = 0; i < 2 * LAYERS; i++) {
            String name = "layers.%d.%s.weight".formatted(i / 2, i % 2 == 0 ? "up" : "down");
            weights.add(stream.add(name, matrix(i + 1, 64), buffer));
        }
    }

    @AfterEach
    void nothingIsLeft() {
        stream.close();
        stream.close();
        buffer.close();
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    private void use(int layer) {
        for (int i = 2 * layer; i < 2 * layer + 2; i++) {
            assertThat(weights.get(i).matrix().shape()).containsExactly(i + 1, 64);
            assertThat(weights.get(i).out()).isEqualTo(i + 1);
        }
        assertThat(stream.mostHeld()).isLessThanOrEqualTo(2);
    }

    private void up() {
        for (int layer = 0; layer < LAYERS; layer++) {
            use(layer);
        }
    }

    private void down() {
        for (int layer = LAYERS - 1; layer >= 0; layer--) {
            use(layer);
        }
    }

    @Test
    void stepsOfTraining_readEachLayerOnceAPassAndAhead() {
        up();
        down();
        up();
        down();
        stream.close();
        assertThat(reads).containsExactly(0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0, 1);
    }

    /** The first pass turns in vain at its end; those after it know better. */
    @Test
    void generation_learnsToBeginAgain() {
        up();
        up();
        up();
        stream.close();
        assertThat(reads).containsExactly(0, 1, 2, 3, 4, 3, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0);
    }

    @Test
    void bytes_areThoseOfTheTwoLargestNeighbours() {
        long[] bytes = new long[LAYERS];
        for (int i = 0; i < 2 * LAYERS; i++) {
            try (QuantizedMatrix matrix = matrix(i + 1, 64)) {
                bytes[i / 2] += matrix.byteSize();
            }
        }
        assertThat(stream.storedBytes()).isEqualTo(Arrays.stream(bytes).sum());
        assertThat(stream.heldBytes()).isEqualTo(bytes[LAYERS - 2] + bytes[LAYERS - 1]);
    }

    @Test
    void layerThatCannotBeRead_isToldToWhoeverNeedsIt() {
        broken = 2;
        use(0);
        use(1);
        assertThatThrownBy(() -> use(2))
                .isInstanceOf(FormatException.class)
                .hasMessage("the disk is gone");
        broken = -1;
        use(2);
        down();
    }
}

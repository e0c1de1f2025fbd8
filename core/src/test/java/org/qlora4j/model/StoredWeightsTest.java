package org.qlora4j.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.StoredType;
import org.qlora4j.family.Families;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.TinyLlama;

/** A table of several pieces, the last one shorter. */
class StoredWeightsTest {
    private static final String NAME = "model.embed_tokens.weight";
    private static final int ROWS = 2500;
    private static final int WIDTH = 257;

    @TempDir Path folder;

    private interface Use {
        void of(StoredWeights weights);
    }

    private void with(float last, Use use) {
        float[] values = new float[ROWS * WIDTH];
        Random random = new Random(1);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        values[values.length - 1] = last;
        Path file = folder.resolve("model.safetensors");
        SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
        long[] shape = {ROWS, WIDTH};
        writer.add(NAME, StoredType.F32, shape, MemorySegment.ofArray(values));
        writer.write(file);
        try (TensorScope scope = TensorScope.open();
                Checkpoint checkpoint = Checkpoint.open(file)) {
            var none = new WeightSource.Random(0, 0.02, 1);
            use.of(new StoredWeights(checkpoint, Families.shape(TinyLlama.folder()), none, false));
        }
    }

    @Test
    void tableInAnotherType_isThatOfTheWholeAndHeldOnce() {
        with(
                1,
                weights -> {
                    for (DType type : new DType[] {DType.F32, DType.BF16, DType.F64}) {
                        float[] expected =
                                weights.read(NAME, ROWS, WIDTH).to(type).to(DType.F32).toFloats();
                        try (TensorScope scope = TensorScope.open()) {
                            long before = NativeMemory.liveBytes();
                            NativeMemory.resetPeak();
                            Tensor read =
                                    Objects.requireNonNull(
                                            weights.readFinite(NAME, type, ROWS, WIDTH));
                            assertThat(NativeMemory.peakBytes() - before)
                                    .isLessThan(
                                            (long) ROWS * WIDTH * type.bytes()
                                                    + 2 * StoredWeights.PIECE);
                            assertThat(read.to(DType.F32).toFloats()).isEqualTo(expected);
                        }
                    }
                });
    }

    @Test
    void valueThatIsNoNumber_isNoticedInTheLastPiece() {
        with(
                Float.NaN,
                weights -> assertThat(weights.readFinite(NAME, DType.BF16, ROWS, WIDTH)).isNull());
    }
}

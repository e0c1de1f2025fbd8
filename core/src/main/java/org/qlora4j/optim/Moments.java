package org.qlora4j.optim;

import java.lang.foreign.Arena;
import java.util.Arrays;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.AdamStep;
import org.qlora4j.tensor.Tensor;

/**
 * The running means of Adam for some parameters. The memory is the optimizer's; {@link #close}
 * gives back the handles on it.
 */
sealed interface Moments extends AutoCloseable permits FullMoments, BlockMoments {
    /** Moves means and weights by one step, from gradients of the same parameters. */
    void step(TrainableParameters.Chunk chunk, AdamStep step);

    /** Adds the state to a file, under names that begin with each parameter's. */
    void save(SafetensorsWriter writer, Arena arena);

    /**
     * Takes the state from a file.
     *
     * @throws FormatException if it belongs to other parameters
     */
    void load(SafetensorsFile stored);

    @Override
    void close();

    /** Copies a stored tensor of the same shape and type into another. */
    static void read(SafetensorsFile stored, String name, Tensor into) {
        long[] shape = into.shape();
        if (!stored.names().contains(name) || !Arrays.equals(stored.info(name).shape(), shape)) {
            throw FormatException.of(
                    "%s holds no %s of shape %s; it belongs to a run with other lora settings",
                    stored.path(), name, Arrays.toString(shape));
        }
        Tensor value = TensorBytes.toTensor(stored.tensor(name));
        if (value.dtype() != into.dtype()) {
            throw FormatException.of(
                    "%s: tensor %s must hold %s, got %s; it belongs to a run with another optimizer",
                    stored.path(), name, into.dtype(), value.dtype());
        }
        into.copyFrom(value);
    }
}

package org.qlora4j.optim;

import java.lang.foreign.Arena;
import java.util.List;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.kernel.AdamStep;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * Moments in 32 bits of parameters that lie side by side, updated as one vector.
 *
 * @param slots the parameters, in order
 * @param means F32 [n]: the running mean of gradients
 * @param squares F32 [n]: the running mean of squared gradients
 */
record FullMoments(List<TrainableParameters.Slot> slots, Tensor means, Tensor squares)
        implements Moments {
    @Override
    public void step(TrainableParameters.Chunk chunk, AdamStep step) {
        Tensor g = chunk.gradients();
        long from = chunk.offset() - slots.getFirst().offset();
        Tensor m = means.narrow(0, from, g.count());
        Tensor v = squares.narrow(0, from, g.count());
        if (step.keep() != 1) {
            chunk.weights().mulInPlace(step.keep());
        }
        m.lerpInPlace(g, 1 - step.beta1());
        v.mulInPlace(step.beta2()).addcmulInPlace(g, g, 1 - step.beta2());
        Tensor root = v.sqrt().mulInPlace(step.root()).addInPlace(step.epsilon());
        chunk.weights().addcdivInPlace(m, root, step.size());
    }

    /** As {@code PARAMETER.exp_avg} and {@code PARAMETER.exp_avg_sq}, torch's names. */
    @Override
    public void save(SafetensorsWriter writer, Arena arena) {
        try (TensorScope scope = TensorScope.open()) {
            for (TrainableParameters.Slot slot : slots) {
                String name = slot.parameter().name();
                TensorBytes.add(writer, name + ".exp_avg", part(means, slot), arena);
                TensorBytes.add(writer, name + ".exp_avg_sq", part(squares, slot), arena);
            }
        }
    }

    @Override
    public void load(SafetensorsFile stored) {
        try (TensorScope scope = TensorScope.open()) {
            for (TrainableParameters.Slot slot : slots) {
                String name = slot.parameter().name();
                Moments.read(stored, name + ".exp_avg", part(means, slot));
                Moments.read(stored, name + ".exp_avg_sq", part(squares, slot));
            }
        }
    }

    private Tensor part(Tensor vector, TrainableParameters.Slot slot) {
        return vector.narrow(0, slot.offset() - slots.getFirst().offset(), slot.count())
                .view(slot.parameter().master().shape());
    }

    @Override
    public void close() {
        means.close();
        squares.close();
    }
}

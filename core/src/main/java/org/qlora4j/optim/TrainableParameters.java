package org.qlora4j.optim;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * All weights that learn, laid end to end: one f32 vector of weights, one of gradients. Each
 * parameter's master copy and gradient become views of them, so that clipping and the optimizer are
 * a few operations on long vectors. Parameters of a group lie side by side.
 */
public final class TrainableParameters implements AutoCloseable {
    /** Elements that one operation works on: bounds the temporaries. */
    private static final long CHUNK = 1 << 22;

    /**
     * Where a parameter lies.
     *
     * @param offset first element in the vectors
     */
    public record Slot(Parameter parameter, ParameterGroup group, long offset, long count) {
        /** Its part of a vector, in its shape. */
        private Tensor of(Tensor vector) {
            return vector.narrow(0, offset, count).view(parameter.master().shape());
        }
    }

    private final List<Slot> slots = new ArrayList<>();
    private final Tensor weights;
    private final Tensor gradients;

    /**
     * Moves master copies; gradients begin at 0. Nothing but the master copies is there twice
     * meanwhile.
     *
     * @param parameters trainable ones; they stay the caller's
     * @param groups how the optimizer treats each of them
     */
    public TrainableParameters(
            List<Parameter> parameters, Function<Parameter, ParameterGroup> groups) {
        Map<ParameterGroup, List<Parameter>> byGroup = new LinkedHashMap<>();
        for (Parameter p : parameters) {
            byGroup.computeIfAbsent(groups.apply(p), g -> new ArrayList<>()).add(p);
        }
        long offset = 0;
        for (Map.Entry<ParameterGroup, List<Parameter>> group : byGroup.entrySet()) {
            for (Parameter p : group.getValue()) {
                slots.add(new Slot(p, group.getKey(), offset, p.master().count()));
                offset += p.master().count();
            }
        }
        try (TensorScope scope = TensorScope.open()) {
            slots.forEach(slot -> slot.parameter.dropGrad());
            weights = TensorScope.release(Tensors.empty(DType.F32, offset));
            for (Slot slot : slots) {
                slot.parameter.moveMaster(slot.of(weights));
            }
            gradients = TensorScope.release(Tensors.zeros(DType.F32, offset));
            for (Slot slot : slots) {
                slot.parameter.useGrad(slot.of(gradients));
            }
        }
    }

    /** All gradients, laid end to end; stays this object's. */
    public Tensor gradients() {
        return gradients;
    }

    /** Number of weights. */
    public long count() {
        return weights.count();
    }

    public List<Slot> slots() {
        return List.copyOf(slots);
    }

    /**
     * Part of the vectors.
     *
     * @param offset first element
     * @param weights view of the weights
     * @param gradients view of their gradients
     */
    record Chunk(long offset, Tensor weights, Tensor gradients) {}

    /** Walks the vectors in parts, each in a scope of its own. */
    void forEachChunk(Consumer<Chunk> action) {
        forEachChunk(0, count(), action);
    }

    /** Walks the part of the vectors that holds neighbouring parameters. */
    void forEachChunk(List<Slot> neighbours, Consumer<Chunk> action) {
        Slot last = neighbours.getLast();
        forEachChunk(neighbours.getFirst().offset, last.offset + last.count, action);
    }

    private void forEachChunk(long start, long end, Consumer<Chunk> action) {
        for (long from = start; from < end; ) {
            long length = Math.min(CHUNK, end - from);
            try (TensorScope scope = TensorScope.open()) {
                action.accept(
                        new Chunk(
                                from,
                                weights.narrow(0, from, length),
                                gradients.narrow(0, from, length)));
            }
            from += length;
        }
    }

    /** Euclidean norm of all gradients as one vector; NaN or infinite if one of them is. */
    public double gradientNorm() {
        double[] sum = new double[1];
        forEachChunk(chunk -> sum[0] += chunk.gradients().dot(chunk.gradients()));
        return Math.sqrt(sum[0]);
    }

    /** Multiplies all gradients. */
    public void scaleGradients(double factor) {
        gradients.mulInPlace(factor);
    }

    /**
     * Divides gradients that were summed over label tokens by their number, and scales them down to
     * a norm (torch {@code clip_grad_norm_}).
     *
     * @param maxNorm 0 leaves the norm as it is
     * @return the norm before it was limited
     */
    public double divideAndClip(long labelTokens, double maxNorm) {
        return divideAndClip(labelTokens, maxNorm, gradientNorm());
    }

    /**
     * As {@link #divideAndClip(long, double)}, by a norm that is known already.
     *
     * @param summedNorm {@link #gradientNorm} of the sums
     * @return the norm before it was limited
     */
    public double divideAndClip(long labelTokens, double maxNorm, double summedNorm) {
        double norm = summedNorm / labelTokens;
        double limit = maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
        scaleGradients(limit / labelTokens);
        return norm;
    }

    /** Whether every weight is a finite number. */
    public boolean allFinite() {
        boolean[] finite = {true};
        forEachChunk(chunk -> finite[0] &= chunk.weights().allFinite());
        return finite[0];
    }

    public void zeroGradients() {
        gradients.zero();
    }

    /** Brings the compute copies of all parameters up to date. */
    public void refresh() {
        slots.forEach(slot -> slot.parameter.refresh());
    }

    /** Frees the vectors; the parameters' views must be closed too. */
    @Override
    public void close() {
        weights.close();
        gradients.close();
    }
}

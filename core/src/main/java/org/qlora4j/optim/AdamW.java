package org.qlora4j.optim;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.AdamStep;
import org.qlora4j.kernel.EightBitMoments;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.PagedMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * AdamW (arXiv 1711.05101) in the order of {@code torch.optim.AdamW}: decay, then the step {@code p
 * -= lr / c1 * m / (sqrt(v) / c2 + eps)} with {@code c1 = 1 - beta1^t} and {@code c2 = sqrt(1 -
 * beta2^t)}. Its moments are held in 32 bits, or in 8 where the optimizer is one of those and the
 * parameter is large enough.
 */
public final class AdamW implements AutoCloseable {
    private static final String STEP = "step";

    private final TrainableParameters parameters;
    private final OptimConfig config;
    private final @Nullable PagedMemory paged;
    private final List<Tensor> vectors = new ArrayList<>(); // what the moments are parts of
    private final List<Moments> moments = new ArrayList<>();
    private final List<List<TrainableParameters.Slot>> slotsOfMoments = new ArrayList<>();
    private long step;

    /**
     * @param folder where paged state may lie
     */
    public AdamW(TrainableParameters parameters, OptimConfig config, Path folder) {
        this.parameters = parameters;
        this.config = config;
        long inFull = 0;
        long inBlocks = 0;
        long blocks = 0;
        for (TrainableParameters.Slot slot : parameters.slots()) {
            if (inBlocks(slot)) {
                inBlocks += slot.count();
                blocks += EightBitMoments.blocks(slot.count());
            } else {
                inFull += slot.count();
            }
        }
        long bytes = 2 * inFull * Float.BYTES + 2 * inBlocks;
        paged = config.type().paged() && bytes > 0 ? new PagedMemory(folder, bytes) : null;
        try (TensorScope scope = TensorScope.open()) {
            Tensor full = zeros(DType.F32, 0, 2 * inFull);
            Tensor codes = zeros(DType.U8, 2 * inFull * Float.BYTES, 2 * inBlocks);
            Tensor absmax = keep(Tensors.zeros(DType.F32, 2 * blocks)); // small: never paged
            makeMoments(full, codes, absmax);
        }
    }

    private boolean inBlocks(TrainableParameters.Slot slot) {
        return inBlocks(config.type(), slot.count(), slot.group().fullState());
    }

    private static boolean inBlocks(OptimType type, long count, boolean fullState) {
        return type.eightBit() && count >= BlockMoments.LEAST_ELEMENTS && !fullState;
    }

    /** Whether the state of a parameter has 32 bits for each value. */
    public static boolean isIn32Bits(OptimType type, String name, long count) {
        return !inBlocks(type, count, ParameterGroup.keepsFullState(name));
    }

    /**
     * Bytes that the state of a parameter takes of memory; what may be paged out is not counted.
     *
     * @param name as {@link ParameterGroup#of} takes it
     * @param count its elements
     */
    public static long stateBytes(OptimType type, String name, long count) {
        if (isIn32Bits(type, name, count)) {
            return type.paged() ? 0 : 2 * count * Float.BYTES;
        }
        long scales = 2 * EightBitMoments.blocks(count) * Float.BYTES; // never paged
        return scales + (type.paged() ? 0 : 2 * count);
    }

    private Tensor zeros(DType dtype, long byteOffset, long count) {
        return keep(
                paged == null ? Tensors.zeros(dtype, count) : paged.part(dtype, byteOffset, count));
    }

    private Tensor keep(Tensor vector) {
        vectors.add(TensorScope.release(vector));
        return vector;
    }

    /** One for each parameter in 8 bits, and one for all neighbours of a group in 32 bits. */
    private void makeMoments(Tensor full, Tensor codes, Tensor absmax) {
        long inFull = 0;
        long inBlocks = 0;
        long blocks = 0;
        List<TrainableParameters.Slot> slots = parameters.slots();
        for (int i = 0; i < slots.size(); ) {
            TrainableParameters.Slot first = slots.get(i);
            int end = i + 1;
            if (inBlocks(first)) {
                long n = first.count();
                long b = EightBitMoments.blocks(n);
                moments.add(
                        BlockMoments.of(
                                first,
                                codes.narrow(0, 2 * inBlocks, n),
                                absmax.narrow(0, 2 * blocks, b),
                                codes.narrow(0, 2 * inBlocks + n, n),
                                absmax.narrow(0, 2 * blocks + b, b)));
                inBlocks += n;
                blocks += b;
            } else {
                long n = first.count();
                while (end < slots.size()
                        && !inBlocks(slots.get(end))
                        && slots.get(end).group().equals(first.group())) {
                    n += slots.get(end++).count();
                }
                moments.add(
                        new FullMoments(
                                slots.subList(i, end),
                                TensorScope.release(full.narrow(0, 2 * inFull, n)),
                                TensorScope.release(full.narrow(0, 2 * inFull + n, n))));
                inFull += n;
            }
            slotsOfMoments.add(slots.subList(i, end));
            i = end;
        }
    }

    /** One update of all weights from their gradients. */
    public void step(double learningRate) {
        step++;
        for (int i = 0; i < moments.size(); i++) {
            Moments ofThese = moments.get(i);
            List<TrainableParameters.Slot> slots = slotsOfMoments.get(i);
            AdamStep factors = factors(learningRate, slots.getFirst().group());
            parameters.forEachChunk(slots, chunk -> ofThese.step(chunk, factors));
        }
    }

    private AdamStep factors(double learningRate, ParameterGroup group) {
        double rate = learningRate * group.rateFactor();
        double decay = group.decays() ? config.weightDecay() : 0;
        return new AdamStep(
                config.beta1(),
                config.beta2(),
                f32(1 - rate * decay),
                f32(-rate / (1 - Math.pow(config.beta1(), step))),
                1 / Math.sqrt(1 - Math.pow(config.beta2(), step)),
                f32(config.epsilon()));
    }

    /**
     * libtorch refuses a factor beyond f32; as infinity it makes weights that the caller sees are
     * not finite.
     */
    private static double f32(double factor) {
        return Math.abs(factor) > Float.MAX_VALUE
                ? Math.copySign(Double.POSITIVE_INFINITY, factor)
                : factor;
    }

    /** Updates so far. */
    public long steps() {
        return step;
    }

    /**
     * Writes the state: {@code PARAMETER.exp_avg} and {@code PARAMETER.exp_avg_sq} in torch's names
     * where it has 32 bits, {@code PARAMETER.state1}, {@code .absmax1}, {@code .state2} and {@code
     * .absmax2} in bitsandbytes' where it has 8.
     */
    public void save(Path file) {
        try (Arena arena = Arena.ofConfined()) {
            SafetensorsWriter writer = new SafetensorsWriter(Map.of(STEP, Long.toString(step)));
            moments.forEach(m -> m.save(writer, arena));
            writer.write(file);
        }
    }

    /**
     * Reads what {@link #save} wrote for the same parameters.
     *
     * @throws FormatException if it belongs to other parameters
     */
    public void load(Path file) {
        try (SafetensorsFile stored = SafetensorsFile.open(file)) {
            moments.forEach(m -> m.load(stored));
            step = Long.parseLong(stored.metadata().getOrDefault(STEP, "0"));
        }
    }

    @Override
    public void close() {
        moments.forEach(Moments::close);
        vectors.forEach(Tensor::close);
        if (paged != null) {
            paged.close();
        }
    }
}

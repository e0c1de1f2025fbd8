package org.qlora4j.plan;

import java.util.ArrayList;
import java.util.List;
import org.qlora4j.kernel.KernelMemory;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.ModelShape.LinearShape;
import org.qlora4j.model.ModelShape.WeightShape;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.OptimType;

/**
 * The weights of a run that learn, from the shape of the model and the settings alone.
 *
 * @param parts each parameter, in no order
 */
record LearntWeights(List<Part> parts) {
    /**
     * A parameter.
     *
     * @param name as in the checkpoint
     * @param in32Bits whether the model computes with its 32-bit copy, and has no other
     */
    record Part(String name, long count, boolean in32Bits) {}

    /** All weights of the model, or those of an adapter. */
    static LearntWeights of(ModelShape model, LoraConfig lora, boolean full) {
        List<Part> whole = all(model);
        if (full) {
            return new LearntWeights(whole);
        }
        List<Part> out = new ArrayList<>();
        for (LinearShape linear : model.linears()) {
            if (LoraAdapter.chooses(lora, linear.path())) {
                long rank = lora.rankOf(linear.path());
                out.add(new Part(linear.path() + ".lora_A.weight", rank * linear.in(), false));
                out.add(new Part(linear.path() + ".lora_B.weight", rank * linear.out(), false));
                if (lora.useDora()) {
                    out.add(new Part(linear.path() + ".magnitude", linear.out(), true));
                }
            }
        }
        for (Part part : whole) {
            String module = part.name.substring(0, part.name.lastIndexOf('.'));
            if (LoraAdapter.bringsWhole(lora, module, model.hasOwnHead())) {
                out.add(part);
            }
        }
        return new LearntWeights(out);
    }

    /** Every weight of a model. */
    private static List<Part> all(ModelShape model) {
        List<Part> out = new ArrayList<>();
        for (WeightShape weight : model.others()) {
            out.add(new Part(weight.name(), weight.count(), false));
        }
        for (LinearShape linear : model.linears()) {
            out.add(new Part(linear.path() + ".weight", linear.out() * linear.in(), false));
        }
        return out;
    }

    long count() {
        return parts.stream().mapToLong(Part::count).sum();
    }

    /** Weights among them that are low-rank factors. */
    long factorCount() {
        return parts.stream()
                .filter(part -> part.name.contains(".lora_"))
                .mapToLong(Part::count)
                .sum();
    }

    /** Whether one of them is named so. */
    boolean has(String name) {
        return parts.stream().anyMatch(part -> part.name.equals(name));
    }

    /**
     * Bytes of 32-bit weights and their gradients, and of the copies that the model computes with.
     *
     * @param width bytes of a number that it computes with
     */
    long bytes(int width) {
        return parts.stream()
                .mapToLong(part -> {
                    long copy = part.in32Bits || width == Float.BYTES ? 0 : width;
                    return part.count * (2 * Float.BYTES + copy);
                })
                .sum();
    }

    /**
     * Bytes that the optimizer holds while it steps: a 32-bit temporary, or with state in 8 bits
     * what the kernel holds.
     *
     * @param chunk elements that it steps at once
     */
    long stepBytes(OptimType optim, long chunk, KernelMemory kernels) {
        long in32Bits =
                parts.stream()
                        .filter(part -> AdamW.isIn32Bits(optim, part.name, part.count))
                        .mapToLong(Part::count)
                        .sum();
        long largestIn8Bits =
                parts.stream()
                        .filter(part -> !AdamW.isIn32Bits(optim, part.name, part.count))
                        .mapToLong(Part::count)
                        .max()
                        .orElse(0);
        return Math.max(
                Math.min(in32Bits, chunk) * Float.BYTES,
                kernels.eightBitAdam(Math.min(largestIn8Bits, chunk)));
    }

    /** Bytes of the optimizer's state that stay in memory: all of it, unless it is paged. */
    long optimizerBytes(OptimType optim) {
        return parts.stream()
                .mapToLong(part -> AdamW.stateBytes(optim, part.name, part.count))
                .sum();
    }
}

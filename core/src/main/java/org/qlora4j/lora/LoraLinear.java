package org.qlora4j.lora;

import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.DoraFactors;
import org.qlora4j.autograd.DoraLinear;
import org.qlora4j.autograd.Linear;
import org.qlora4j.autograd.LinearUpdate;
import org.qlora4j.autograd.LoraFactors;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;

/**
 * A linear layer of a model, on which an update may sit. It owns its weight and bias, not the
 * update.
 */
public final class LoraLinear implements AutoCloseable {
    private final String path;
    private final @Nullable Parameter bias;
    private Weight weight;
    private @Nullable LinearUpdate update;

    /**
     * @param path module path in the checkpoint, e.g. {@code model.layers.0.self_attn.q_proj}
     * @param bias [out] or null
     */
    public LoraLinear(String path, Weight weight, @Nullable Parameter bias) {
        this.path = path;
        this.weight = weight;
        this.bias = bias;
    }

    /** x [..., in] to [..., out]. */
    public Var forward(Tape tape, Var x) {
        return switch (update) {
            case null -> Linear.apply(tape, x, weight, bias, null);
            case LoraFactors lora -> Linear.apply(tape, x, weight, bias, lora);
            case DoraFactors dora -> DoraLinear.apply(tape, x, weight, bias, dora);
        };
    }

    public String path() {
        return path;
    }

    public Weight weight() {
        return weight;
    }

    public @Nullable Parameter bias() {
        return bias;
    }

    /** The update that sits on the layer, or null. */
    public @Nullable LinearUpdate update() {
        return update;
    }

    /** Puts an update on the layer in place of the one there; null takes it off. */
    public void setUpdate(@Nullable LinearUpdate newUpdate) {
        update = newUpdate;
    }

    /** Puts another weight of the same shape in place of this one, which is freed. */
    public void replaceWeight(Weight other) {
        if (other.out() != weight.out() || other.in() != weight.in()) {
            throw new IllegalArgumentException(
                    "%s: a weight [%d, %d] cannot replace one of [%d, %d]"
                            .formatted(path, other.out(), other.in(), weight.out(), weight.in()));
        }
        weight.close();
        weight = other;
    }

    @Override
    public void close() {
        weight.close();
        if (bias != null) {
            bias.close();
        }
    }
}

package org.qlora4j.lora;

import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.DoraFactors;
import org.qlora4j.autograd.DoraLinear;
import org.qlora4j.autograd.Linear;
import org.qlora4j.autograd.LinearUpdate;
import org.qlora4j.autograd.LoraFactors;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.RowUpdates;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;

/**
 * A linear layer of a model, on which an update may sit. It owns its weight and bias, not the
 * update.
 *
 * <p>Its weight may be in two parts: one that is stored, perhaps in 4 bits, and a principal part of
 * low rank (PiSSA, {@link PrincipalParts}). An update then stands in the place of the principal
 * part; without one the layer computes with both, as the checkpoint's does.
 */
public final class LinearLayer implements AutoCloseable {
    private final String path;
    private final @Nullable Parameter bias;
    private Weight weight;
    private boolean storedTransposed;
    private @Nullable LoraFactors principal;
    private @Nullable LinearUpdate update;
    private @Nullable RowUpdates rowUpdates;

    /**
     * @param path module path in the checkpoint, e.g. {@code model.layers.0.self_attn.q_proj}
     * @param bias [out] or null
     */
    public LinearLayer(String path, Weight weight, @Nullable Parameter bias) {
        this(path, weight, null, bias);
    }

    /**
     * A layer whose weight is in two parts.
     *
     * @param weight what the principal part leaves
     * @param principal frozen; null if {@code weight} is all
     * @param bias [out] or null
     */
    public LinearLayer(
            String path, Weight weight, @Nullable LoraFactors principal, @Nullable Parameter bias) {
        this.path = path;
        this.weight = weight;
        this.principal = principal;
        this.bias = bias;
    }

    /** x [..., in] to [..., out]. */
    public Var forward(Tape tape, Var x) {
        if (rowUpdates != null) {
            return rowUpdates.apply(tape, x, weight, bias);
        }
        return switch (update == null ? principal : update) {
            case null -> Linear.apply(tape, x, weight, bias, null);
            case LoraFactors lora -> Linear.apply(tape, x, weight, bias, lora);
            case DoraFactors dora -> DoraLinear.apply(tape, x, weight, bias, dora);
        };
    }

    public String path() {
        return path;
    }

    /** The weight, or what of it the principal part leaves. */
    public Weight weight() {
        return weight;
    }

    /** The principal part of the weight, which an update replaces; null if there is none. */
    public @Nullable LoraFactors principal() {
        return principal;
    }

    public @Nullable Parameter bias() {
        return bias;
    }

    /** Says that checkpoints have its weight as [in, out], whatever takes its place here. */
    public LinearLayer storedTransposed() {
        storedTransposed = true;
        if (weight instanceof Weight.Dense(Parameter p)) {
            p.storedTransposed();
        }
        return this;
    }

    /** Whether the checkpoint has its weight as [in, out], and it is held in 16 or 32 bits. */
    public boolean isStoredTransposed() {
        return storedTransposed && weight instanceof Weight.Dense;
    }

    /** The update that sits on the layer, or null. */
    public @Nullable LinearUpdate update() {
        return update;
    }

    /** Puts an update on the layer in place of the one there; null takes it off. */
    public void setUpdate(@Nullable LinearUpdate newUpdate) {
        update = newUpdate;
    }

    /**
     * Gives rows of a batch updates of their own, in place of the update of all; null ends that.
     * The weight must not be in two parts.
     */
    void setRowUpdates(@Nullable RowUpdates updates) {
        if (updates != null && principal != null) {
            throw new IllegalStateException(path + " is in two parts, which belong together");
        }
        rowUpdates = updates;
    }

    /**
     * Puts another weight of the same shape in place of this one and all its parts; they are freed.
     */
    public void replaceWeight(Weight other) {
        if (other.out() != weight.out() || other.in() != weight.in()) {
            throw new IllegalArgumentException(
                    "%s: a weight [%d, %d] cannot replace one of [%d, %d]"
                            .formatted(path, other.out(), other.in(), weight.out(), weight.in()));
        }
        closeWeight();
        weight = other;
        principal = null;
        if (storedTransposed) {
            storedTransposed(); // the new one too
        }
    }

    private void closeWeight() {
        weight.close();
        if (principal != null) {
            principal.close();
        }
    }

    @Override
    public void close() {
        closeWeight();
        if (bias != null) {
            bias.close();
        }
    }
}

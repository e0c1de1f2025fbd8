package org.qlora4j.export;

import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * How much of what an adapter changes survives the rounding of the merged weights, over all weights
 * that it changes. With Δ the change and Δ' what is left of it in the file, {@link #kept} is the
 * part of Δ that Δ' has in its direction, ⟨Δ', Δ⟩ / ⟨Δ, Δ⟩, and {@link #noise} the length of what
 * rounding added, ‖Δ' - Δ‖ / ‖Δ‖.
 */
public final class RoundingLoss {
    private double change;
    private double along;
    private double error;
    private int tensors;

    RoundingLoss() {}

    /**
     * Adds a weight.
     *
     * @param base F32, as it was
     * @param merged F32, of the same shape, before rounding
     * @param rounded the same as the file has it
     */
    void add(Tensor base, Tensor merged, Tensor rounded) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor wanted = merged.minus(base);
            Tensor got = rounded.minus(base);
            change += wanted.square().sum().item();
            along += got.times(wanted).sum().item();
            error += got.subInPlace(wanted).square().sum().item();
            tensors++;
        }
    }

    /** Weights that the adapter changes. */
    public int tensors() {
        return tensors;
    }

    /** Share of the change that is left; 1 where nothing changes. */
    public double kept() {
        return change == 0 ? 1 : along / change;
    }

    /** What rounding added, relative to the change; 0 where nothing changes. */
    public double noise() {
        return change == 0 ? 0 : Math.sqrt(error / change);
    }

    /** Whether too little is left of what was learnt: a tenth is gone, or noise is as large. */
    public boolean loses() {
        return kept() < 0.9 || noise() > 1;
    }
}

package org.qlora4j.autograd;

import org.jspecify.annotations.Nullable;

/**
 * What attention does between its two products: {@code softmax(cap(scale · q · kᵀ))} over the keys
 * of a window.
 *
 * @param scale of the products, above 0
 * @param softcap scores are drawn into ±{@code softcap} by {@code c · tanh(s / c)} (Gemma 2); 0 for
 *     none
 * @param window how many positions a query looks back over, its own among them; 0 for all
 * @param bias added to the scores; null for none. The scale must then be 1 and the softcap 0
 */
public record AttentionShape(
        double scale, double softcap, int window, @Nullable PositionBias bias) {
    public AttentionShape {
        boolean biased = bias != null && (scale != 1 || softcap != 0);
        if (!(scale > 0) || !(softcap >= 0) || window < 0 || biased) {
            throw new IllegalArgumentException(
                    "attention of scale %s, softcap %s, window %d"
                            .formatted(scale, softcap, window));
        }
    }

    /** Scores that only products make. */
    public AttentionShape(double scale, double softcap, int window) {
        this(scale, softcap, window, null);
    }

    /** Products as they are, and a bias by distance (T5). */
    public static AttentionShape biased(@Nullable PositionBias bias) {
        return new AttentionShape(1, 0, 0, bias);
    }

    /** All keys, products by {@code 1 / sqrt(headDim)} (arXiv 1706.03762). */
    public static AttentionShape of(long headDim) {
        return new AttentionShape(1 / Math.sqrt(headDim), 0, 0);
    }

    /** Whether its bias learns. */
    boolean trains() {
        return bias != null && bias.table().trainable();
    }

    public AttentionShape withWindow(int positions) {
        return new AttentionShape(scale, softcap, positions, bias);
    }
}

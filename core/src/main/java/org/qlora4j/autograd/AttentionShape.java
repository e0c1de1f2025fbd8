package org.qlora4j.autograd;

/**
 * What attention does between its two products: {@code softmax(cap(scale · q · kᵀ))} over the keys
 * of a window.
 *
 * @param scale of the products, above 0
 * @param softcap scores are drawn into ±{@code softcap} by {@code c · tanh(s / c)} (Gemma 2); 0 for
 *     none
 * @param window how many positions a query looks back over, its own among them; 0 for all
 */
public record AttentionShape(double scale, double softcap, int window) {
    public AttentionShape {
        if (!(scale > 0) || !(softcap >= 0) || window < 0) {
            throw new IllegalArgumentException(
                    "attention of scale %s, softcap %s, window %d"
                            .formatted(scale, softcap, window));
        }
    }

    /** All keys, products by {@code 1 / sqrt(headDim)} (arXiv 1706.03762). */
    public static AttentionShape of(long headDim) {
        return new AttentionShape(1 / Math.sqrt(headDim), 0, 0);
    }

    public AttentionShape withWindow(int positions) {
        return new AttentionShape(scale, softcap, positions);
    }
}

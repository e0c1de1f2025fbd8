package org.qlora4j.export;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What of a larger model a smaller one keeps; null keeps all.
 *
 * @param vocabularySize tokens that stay: the special ones, the letters and the first merges
 * @param layers numbers of the decoder layers that stay, rising, counted from 0
 * @param hiddenSize channels of the residual stream that stay, the weightiest
 * @param intermediateSize inner channels of each MLP that stay, the weightiest of each layer
 */
public record ShrinkConfig(
        @Nullable Integer vocabularySize,
        @Nullable List<Integer> layers,
        @Nullable Integer hiddenSize,
        @Nullable Integer intermediateSize) {
    public ShrinkConfig {
        layers = layers == null ? null : List.copyOf(layers);
    }
}

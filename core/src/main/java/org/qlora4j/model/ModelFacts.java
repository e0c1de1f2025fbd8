package org.qlora4j.model;

import java.util.Set;

/**
 * Sizes of a decoder that every family has.
 *
 * @param type its {@code model_type}
 * @param vocabularySize rows of the embedding table
 * @param hiddenSize width of the residual stream
 * @param intermediateSize inner width of the MLP
 * @param layers decoder layers
 * @param heads query heads
 * @param kvHeads key and value heads; divides {@code heads}
 * @param headDim width of a head
 * @param maxPositions the trained context length
 * @param eosIds ids that end a text; may be empty
 */
public record ModelFacts(
        String type,
        int vocabularySize,
        int hiddenSize,
        int intermediateSize,
        int layers,
        int heads,
        int kvHeads,
        int headDim,
        int maxPositions,
        Set<Integer> eosIds) {
    /** The same with other ids that end a text. */
    public ModelFacts withEosIds(Set<Integer> ids) {
        return with(maxPositions, ids);
    }

    /** The same with another context length. */
    public ModelFacts withMaxPositions(int positions) {
        return with(positions, eosIds);
    }

    private ModelFacts with(int positions, Set<Integer> ids) {
        return new ModelFacts(
                type,
                vocabularySize,
                hiddenSize,
                intermediateSize,
                layers,
                heads,
                kvHeads,
                headDim,
                positions,
                ids);
    }
}

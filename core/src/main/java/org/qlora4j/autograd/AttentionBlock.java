package org.qlora4j.autograd;

import org.qlora4j.kernel.BlockMask;

/**
 * Queries that attention works on at once: the same rows of neighbouring sequences, with the keys
 * that any of them sees.
 *
 * @param sequence the first sequence
 * @param sequences how many
 * @param row the first query of each
 * @param rows how many
 * @param key the first key of each
 * @param keys how many; 0 if no query sees any
 * @param mask which of these keys a row sees
 */
record AttentionBlock(
        int sequence, int sequences, int row, int rows, int key, int keys, BlockMask mask) {}

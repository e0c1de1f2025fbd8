package org.qlora4j.checkpoint;

import java.lang.foreign.MemorySegment;
import org.qlora4j.kernel.BlockType;

/**
 * One weight in the blocks of a GGUF file.
 *
 * @param type of the blocks
 * @param shape of the weight, [out, in]. Not to be written to
 * @param data line after line in Hugging Face's order, each of whole blocks
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record StoredBlocks(BlockType type, long[] shape, MemorySegment data) {}

/**
 * Weights in files: safetensors (one file or shards), GGUF of Llama, and bitsandbytes' 4-bit
 * layout, read as named tensors of bytes and written back; files and folders that appear whole or
 * not at all.
 *
 * <p>In: a path to a checkpoint. Out: {@link org.qlora4j.checkpoint.StoredTensor}: name, type,
 * shape and little-endian bytes, most often a view of the mapped file, so nothing is copied before
 * it is needed; {@code TensorBytes} makes tensors of the compute library of them. Every size and
 * offset of a file is checked when it is opened: a damaged or hostile file gives a one-line {@link
 * org.qlora4j.error.FormatException}.
 *
 * <p>Open {@link org.qlora4j.checkpoint.Checkpoint} first to read, {@link
 * org.qlora4j.checkpoint.SafetensorsWriter} to write. Formats: <a
 * href="https://github.com/huggingface/safetensors#format">safetensors</a>, <a
 * href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">GGUF v3</a>, the state dict of
 * bitsandbytes 0.50 ({@code QuantState.as_dict(packed=True)}).
 */
@NullMarked
package org.qlora4j.checkpoint;

import org.jspecify.annotations.NullMarked;

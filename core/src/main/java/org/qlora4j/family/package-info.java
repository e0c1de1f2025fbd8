/**
 * Model families, each one readable file: its config, its names and its order of parts. In: {@code
 * config.json} and named weights. Out: a {@link org.qlora4j.model.CausalModel} by {@link
 * org.qlora4j.family.Models}; of its shape, the keys and layout of a GGUF file. No other package
 * names a family's class. Open {@link org.qlora4j.family.LlamaConfig}; {@code
 * docs/adding-a-family.md} shows how another one comes in.
 */
@NullMarked
package org.qlora4j.family;

import org.jspecify.annotations.NullMarked;

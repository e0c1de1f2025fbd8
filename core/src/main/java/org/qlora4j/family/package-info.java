/**
 * Model families, each one readable file: its config, its names and its order of parts. In: {@code
 * config.json} and named weights. Out: a {@link org.qlora4j.model.CausalModel} by {@link
 * org.qlora4j.family.Models}. Open {@link org.qlora4j.family.LlamaConfig}; {@code
 * docs/adding-a-family.md} shows how another one comes in.
 */
@NullMarked
package org.qlora4j.family;

import org.jspecify.annotations.NullMarked;

/**
 * Text from a model, token by token. In: prompt ids and a {@link
 * org.qlora4j.generate.GenerationConfig}, spelled as transformers' {@code GenerationConfig}. Out:
 * the ids of the continuation, as they come, and why they ended. Open {@link
 * org.qlora4j.generate.Decoding} first, the loop under all of it.
 */
@NullMarked
package org.qlora4j.generate;

import org.jspecify.annotations.NullMarked;

/**
 * Model families, each one readable file of tape operations. In: {@code config.json} and the
 * tensors of a checkpoint. Out: a {@link org.qlora4j.model.CausalModel}: token ids to hidden states
 * and logits. Open {@link org.qlora4j.model.Llama}.
 */
@NullMarked
package org.qlora4j.model;

import org.jspecify.annotations.NullMarked;

/**
 * What all model families share: named weights, parts of layers, what positions see, the shape of a
 * model without its weights. It knows no family. In: a family's config and the tensors of a
 * checkpoint. Out: a {@link org.qlora4j.model.CausalModel}: token ids to hidden states and logits.
 * Open {@link org.qlora4j.model.PreNormDecoder}.
 */
@NullMarked
package org.qlora4j.model;

import org.jspecify.annotations.NullMarked;

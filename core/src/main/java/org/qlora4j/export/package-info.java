/**
 * Models in files: a whole model in those of Hugging Face, and a smaller one made of a larger one's
 * tensors. In: a {@link org.qlora4j.model.CausalModel} or a checkpoint. Out: a folder. Open {@link
 * org.qlora4j.export.ModelFolder}.
 */
@NullMarked
package org.qlora4j.export;

import org.jspecify.annotations.NullMarked;

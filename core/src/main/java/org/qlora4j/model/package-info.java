/**
 * Language models: which one is meant ({@link org.qlora4j.model.ModelConfig}) and where it runs.
 * In: a checkpoint folder, a GGUF file or the name of a model of the Hugging Face hub. Open {@code
 * ModelConfig} first.
 */
@NullMarked
package org.qlora4j.model;

import org.jspecify.annotations.NullMarked;

/**
 * Low-rank adapters on linear layers (arXiv 2106.09685). In: the linears of a model, a {@code
 * LoraConfig} or a PEFT folder. Out: trainable factors, PEFT folders, merged weights. Open {@link
 * org.qlora4j.lora.LinearLayer} first.
 */
@NullMarked
package org.qlora4j.lora;

import org.jspecify.annotations.NullMarked;

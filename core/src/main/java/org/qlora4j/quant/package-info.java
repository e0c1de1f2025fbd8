/**
 * Block-wise quantization (QLoRA, arXiv 2305.14314, section 3). In: a weight of any float type.
 * Out: {@link org.qlora4j.quant.QuantizedMatrix}: packed 4-bit codes with their scales, byte for
 * byte those of bitsandbytes. Open {@link org.qlora4j.quant.QuantConfig} first.
 */
@NullMarked
package org.qlora4j.quant;

import org.jspecify.annotations.NullMarked;

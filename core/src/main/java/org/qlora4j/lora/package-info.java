/**
 * LoRA (arXiv 2106.09685), the only weights that QLoRA trains: which layers get a low-rank update
 * and how strong it is ({@link org.qlora4j.lora.LoraConfig}), with the meaning that PEFT gives the
 * same keys. Open {@code LoraConfig} first.
 */
@NullMarked
package org.qlora4j.lora;

import org.jspecify.annotations.NullMarked;

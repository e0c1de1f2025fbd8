/**
 * Optimizers and learning rate schedules: which one, and with which constants ({@link
 * org.qlora4j.optim.OptimConfig}). Names and formulas are those of the Hugging Face trainer. Open
 * {@code OptimConfig} first.
 */
@NullMarked
package org.qlora4j.optim;

import org.jspecify.annotations.NullMarked;

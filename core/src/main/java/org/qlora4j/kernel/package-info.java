/**
 * Fused operations on the memory of tensors, one contract each, with a plain reference of libtorch
 * operations that runs on any device and a Vector API twin for CPUs. In: codes, scales, values.
 * Out: the same. One set is chosen at start. Open {@link org.qlora4j.kernel.Kernels} first.
 */
@NullMarked
package org.qlora4j.kernel;

import org.jspecify.annotations.NullMarked;

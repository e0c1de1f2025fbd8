/**
 * Fused operations on the memory of tensors. Each has one contract, a plain reference of libtorch
 * operations that runs on any device, a Vector API twin for CPUs and a CUDA twin. In: codes,
 * scales, values. Out: the same. Device and set are chosen once at start. Open {@link
 * org.qlora4j.kernel.Kernels} first.
 */
@NullMarked
package org.qlora4j.kernel;

import org.jspecify.annotations.NullMarked;

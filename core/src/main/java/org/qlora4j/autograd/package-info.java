/**
 * A small tape of fused differentiable operations, each a forward pass beside its hand-written
 * vector-Jacobian product. In: tensors, parameters, weights in 16 or 4 bits. Out: values, and
 * gradients in the parameters. Open {@link org.qlora4j.autograd.Tape} first, then any operation,
 * such as {@link org.qlora4j.autograd.RmsNorm}.
 */
@NullMarked
package org.qlora4j.autograd;

import org.jspecify.annotations.NullMarked;

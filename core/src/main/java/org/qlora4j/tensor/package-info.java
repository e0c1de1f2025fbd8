/**
 * Tensors of libtorch, with an owner who frees them. In: bytes, shapes, dtypes. Out: {@link
 * org.qlora4j.tensor.Tensor}. Nothing above this package sees JavaCPP. Open {@link
 * org.qlora4j.tensor.TensorScope} first: it says who frees what.
 */
@NullMarked
package org.qlora4j.tensor;

import org.jspecify.annotations.NullMarked;

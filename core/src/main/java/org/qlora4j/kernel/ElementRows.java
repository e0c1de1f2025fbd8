package org.qlora4j.kernel;

import org.qlora4j.tensor.Tensor;

/**
 * Elementwise operations of a forward pass in one walk over the memory. All tensors of a call are
 * contiguous and of one type and number of elements.
 */
public sealed interface ElementRows permits MetaKernels, ReferenceElementRows, VectorElementRows {
    /**
     * {@code out = a + b}, rounded once.
     *
     * @param out written; may be a or b
     */
    void add(Tensor a, Tensor b, Tensor out);

    /**
     * {@code out = f(gate) * up}; f is rounded to the type before the product, as transformers'
     * LlamaMLP and GemmaMLP do.
     *
     * @param out written; may be gate or up
     */
    void gate(Gate f, Tensor gate, Tensor up, Tensor out);
}

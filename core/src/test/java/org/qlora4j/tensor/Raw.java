package org.qlora4j.tensor;

/** Lets tests of other packages reach libtorch itself, to use its autograd as the judge. */
public final class Raw {
    private Raw() {}

    /** The libtorch tensor behind a handle. */
    public static org.bytedeco.pytorch.Tensor of(Tensor tensor) {
        return tensor.handle();
    }

    /** A handle on a copy of a libtorch tensor, in the innermost scope. */
    public static Tensor wrap(org.bytedeco.pytorch.Tensor raw) {
        return Tensors.fresh(() -> raw.detach().clone());
    }
}

package org.qlora4j.autograd;

import java.util.List;
import org.qlora4j.tensor.Tensor;

/** What an adapter adds to a linear layer. It owns its parameters; {@link #close} frees them. */
public sealed interface LinearUpdate extends AutoCloseable permits LoraFactors, DoraFactors {
    /** The low-rank part. */
    LoraFactors lora();

    /** Everything that can learn. */
    List<Parameter> parameters();

    /**
     * Changes a weight into the one that computes as layer and update do together.
     *
     * @param weight [out, in], F32 or F64, the caller's to change
     */
    void mergeInto(Tensor weight);

    @Override
    void close();
}

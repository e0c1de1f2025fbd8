package org.qlora4j.model;

import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.tensor.Tensor;

/**
 * A decoder that also looks at a source, which an encoder reads first. Its {@link #hidden} takes a
 * {@link SourceContext}.
 */
public interface EncoderDecoder extends Decoder {
    /**
     * What the decoder sees of sources.
     *
     * @param ids I64 [batch, time]; open until the backward pass
     * @param seen {@linkplain BatchContext#whole both ways}
     * @return [batch, time, hidden]
     */
    Var encode(Tape tape, Tensor ids, Context seen, boolean checkpoint);
}

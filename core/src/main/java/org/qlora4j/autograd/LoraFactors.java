package org.qlora4j.autograd;

import java.util.List;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * The low-rank update of a linear layer: {@code y += scale * B(A(dropout(x)))} (arXiv 2106.09685,
 * section 4.1).
 *
 * @param a [rank, in]
 * @param b [out, rank]
 * @param scale alpha / rank, or alpha / sqrt(rank) with rsLoRA
 * @param dropout share of A's inputs zeroed while training, in [0, 1)
 */
public record LoraFactors(Parameter a, Parameter b, double scale, double dropout)
        implements LinearUpdate {
    @Override
    public LoraFactors lora() {
        return this;
    }

    @Override
    public List<Parameter> parameters() {
        return List.of(a, b);
    }

    @Override
    public void mergeInto(Tensor weight) {
        try (TensorScope scope = TensorScope.open()) {
            weight.addmmInPlace(
                    b.finest().to(weight.dtype()), a.finest().to(weight.dtype()), 1, scale);
        }
    }

    @Override
    public void close() {
        a.close();
        b.close();
    }
}

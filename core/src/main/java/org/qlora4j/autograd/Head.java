package org.qlora4j.autograd;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.DenseProduct;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * The head of a language model: hidden states to logits, {@code cap(scale · x · Wᵀ + bias)} with
 * {@code cap(z) = softcap · tanh(z / softcap)}. Losses and generation take the rule from here. It
 * owns nothing.
 *
 * @param weight W [vocabulary, hidden]; may be the embedding table
 * @param bias [vocabulary] or null
 * @param softcap the bound of the logits (Gemma 2); 0 for none
 * @param scale of the product (T5); 1 for none
 */
public record Head(Weight weight, @Nullable Parameter bias, double softcap, double scale) {
    /** Logits that are the product alone. */
    public static Head of(Weight weight) {
        return new Head(weight, null, 0, 1);
    }

    /** Whether logits are the product alone. */
    public boolean isPlain() {
        return bias == null && softcap == 0 && scale == 1;
    }

    /** The tables with a row for each token: the embeddings, and its own if it has one. */
    public List<Parameter> tables(Parameter embeddings) {
        return weight instanceof Weight.Dense(Parameter p) && p != embeddings
                ? List.of(embeddings, p)
                : List.of(embeddings);
    }

    public long vocabulary() {
        return weight.out();
    }

    /** Whether its weight learns. */
    boolean trainsWeight() {
        return weight instanceof Weight.Dense(Parameter p) && p.trainable();
    }

    /** Whether anything of it learns. */
    boolean trains() {
        return trainsWeight() || (bias != null && bias.trainable());
    }

    /**
     * Logits F32 (F64 when computing in F64) [rows, vocabulary].
     *
     * @param hidden [..., hidden]
     */
    public Tensor logits(Tensor hidden) {
        Tensor rows = hidden.reshape(-1, hidden.size(-1));
        DenseProduct few = Kernels.current().denseProduct();
        Tensor matrix = weight.dense(hidden.dtype());
        if (few.takes(rows.dtype(), rows.size(0)) && rows.isContiguous() && matrix.isContiguous()) {
            Tensor logits = Tensors.empty(rows.dtype().wide(), rows.size(0), matrix.size(0));
            few.multiply(rows, matrix, logits);
            return finish(logits);
        }
        return finish(rows.linear(matrix, null).to(rows.dtype().wide()));
    }

    /**
     * Makes logits of products, which it may overwrite.
     *
     * @param products {@code x · Wᵀ}, F32 or F64 [rows, vocabulary], however they were made
     */
    public Tensor finish(Tensor products) {
        if (isPlain()) {
            return products;
        }
        Tensor logits = scale == 1 ? products : products.mulInPlace(scale);
        if (bias != null) {
            logits.addInPlace(bias.value().to(logits.dtype()));
        }
        return softcap == 0 ? logits : logits.times(1 / softcap).tanh().mulInPlace(softcap);
    }

    /**
     * Makes the gradient of the products of that of the logits, which is overwritten, and adds that
     * of the bias.
     *
     * @param logits what {@link #finish} gave
     */
    Tensor unfinish(Tensor gradient, Tensor logits) {
        if (isPlain()) {
            return gradient;
        }
        if (softcap != 0) { // 1 - tanh²
            gradient.addcmulInPlace(gradient.times(logits), logits, -1 / (softcap * softcap));
        }
        if (bias != null && bias.trainable()) {
            bias.grad().addInPlace(gradient.sum(0, false));
        }
        return scale == 1 ? gradient : gradient.mulInPlace(scale);
    }
}

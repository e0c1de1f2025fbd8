package org.qlora4j.autograd;

/**
 * The low-rank update of a linear layer: {@code y += scale * B(A(dropout(x)))} (arXiv 2106.09685,
 * section 4.1).
 *
 * @param a [rank, in]
 * @param b [out, rank]
 * @param scale alpha / rank, or alpha / sqrt(rank) with rsLoRA
 * @param dropout share of A's inputs zeroed while training, in [0, 1)
 */
public record LoraFactors(Parameter a, Parameter b, double scale, double dropout) {}

package org.qlora4j.kernel;

/** Functions of the gate of a gated MLP (arXiv 2002.05202). */
public enum Gate {
    /** {@code x · sigmoid(x)}: SwiGLU. */
    SILU,
    /** {@link Activation#GELU_TANH}: GEGLU. */
    GELU_TANH
}

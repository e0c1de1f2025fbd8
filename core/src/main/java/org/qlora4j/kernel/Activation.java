package org.qlora4j.kernel;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Functions between the two linears of a plain MLP, each of one value. */
public enum Activation {
    /** {@code x · Φ(x)} with the normal distribution's Φ (arXiv 1606.08415), by erf. */
    GELU("gelu"),
    /** GELU with Φ by tanh, {@code x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))}. */
    GELU_TANH("gelu_new", "gelu_pytorch_tanh", "gelu_fast"),
    /** {@code max(x, 0)}. */
    RELU("relu");

    private final List<String> names;

    Activation(String... names) {
        this.names = List.of(names);
    }

    /** The function that {@code config.json} calls so; empty if it is none of these. */
    public static Optional<Activation> named(String name) {
        return Arrays.stream(values()).filter(a -> a.names.contains(name)).findFirst();
    }

    /** The names in {@code config.json} that are known, for messages. */
    public static List<String> allNames() {
        return Arrays.stream(values()).flatMap(a -> a.names.stream()).toList();
    }
}

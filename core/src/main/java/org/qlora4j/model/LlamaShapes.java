package org.qlora4j.model;

import java.util.Comparator;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Shapes of the LLaMA models (arXiv 2302.13971, table 2) that the QLoRA paper finetunes, for plans
 * that need no checkpoint.
 */
public final class LlamaShapes {
    private static final Map<String, LlamaConfig> NAMED =
            Map.of(
                    "llama-7b", shape(4096, 11008, 32, 32),
                    "llama-13b", shape(5120, 13824, 40, 40),
                    "llama-33b", shape(6656, 17920, 60, 52),
                    "llama-65b", shape(8192, 22016, 80, 64));

    private LlamaShapes() {}

    /** The shape of a name such as {@code llama-65b} or {@code huggyllama/llama-65b}. */
    public static Optional<LlamaConfig> named(String name) {
        String last = name.substring(name.lastIndexOf('/') + 1).toLowerCase(Locale.ROOT);
        // the model of 32.5e9 weights is called 30b on the hub, 33b in papers
        return Optional.ofNullable(NAMED.get(last.equals("llama-30b") ? "llama-33b" : last));
    }

    /** The names, in order, for messages. */
    public static String names() {
        return NAMED.keySet().stream()
                .sorted(Comparator.comparing((String n) -> named(n).orElseThrow().layers()))
                .collect(Collectors.joining(", "));
    }

    private static LlamaConfig shape(int hidden, int intermediate, int layers, int heads) {
        return new LlamaConfig(
                32000,
                hidden,
                intermediate,
                layers,
                heads,
                heads,
                hidden / heads,
                1e-6,
                10000,
                new RopeScaling.Default(),
                2048,
                false,
                false,
                false,
                Set.of(2));
    }
}

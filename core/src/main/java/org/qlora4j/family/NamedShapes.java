package org.qlora4j.family;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.Rope;
import org.qlora4j.model.RopeScaling;

/**
 * Shapes that are known by name, for plans and benchmarks that need no checkpoint: the LLaMA models
 * (arXiv 2302.13971, table 2) that the QLoRA paper finetunes, and some for benchmarks.
 */
public final class NamedShapes {
    /** In the order of messages. */
    private static final Map<String, LlamaConfig> NAMED = new LinkedHashMap<>();

    static {
        NAMED.put("llama-tiny", llama(32000, 64, 2, 172, 4, 2, 1e-5));
        NAMED.put("llama-1.1b", llama(32000, 2048, 22, 5632, 32, 4, 1e-5));
        NAMED.put("llama-3b", llama(32000, 3200, 26, 8640, 32, 32, 1e-5));
        NAMED.put("llama-7b", llama(32000, 4096, 32, 11008, 32, 32, 1e-6));
        NAMED.put("llama-8b", llama(128256, 4096, 32, 14336, 32, 8, 1e-5));
        NAMED.put("llama-13b", llama(32000, 5120, 40, 13824, 40, 40, 1e-6));
        NAMED.put("llama-33b", llama(32000, 6656, 60, 17920, 52, 52, 1e-6));
        NAMED.put("llama-65b", llama(32000, 8192, 80, 22016, 64, 64, 1e-6));
    }

    private NamedShapes() {}

    /** The shape of a name such as {@code llama-65b} or {@code huggyllama/llama-65b}. */
    public static Optional<ModelShape> named(String name) {
        String last = name.substring(name.lastIndexOf('/') + 1).toLowerCase(Locale.ROOT);
        // the model of 32.5e9 weights is called 30b on the hub, 33b in papers
        LlamaConfig config = NAMED.get(last.equals("llama-30b") ? "llama-33b" : last);
        return Optional.ofNullable(config).map(ModelShape::of);
    }

    /** The names, in order, for messages. */
    public static String names() {
        return String.join(", ", NAMED.keySet());
    }

    private static LlamaConfig llama(
            int vocabulary,
            int hidden,
            int layers,
            int intermediate,
            int heads,
            int kvHeads,
            double normEps) {
        return new LlamaConfig(
                new ModelFacts(
                        "llama",
                        vocabulary,
                        hidden,
                        intermediate,
                        layers,
                        heads,
                        kvHeads,
                        hidden / heads,
                        2048,
                        Set.of(2)),
                normEps,
                new Rope(10000, new RopeScaling.Default()),
                false,
                false,
                false);
    }
}

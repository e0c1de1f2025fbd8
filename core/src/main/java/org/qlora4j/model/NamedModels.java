package org.qlora4j.model;

import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Short names of models that the documents use: where each stands on the Hugging Face hub. */
public final class NamedModels {
    /** A small chat model whose answers make sense. */
    static final String SMOLLM2 = "smollm2";

    private static final String SMOLLM2_ON_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct";
    private static final String SMOLLM2_HERE = "QLORA_SMOLLM2";

    private NamedModels() {}

    /** What a name stands for on this machine; any other text as it is. */
    public static String resolve(String name) {
        return resolve(name, System.getenv());
    }

    /**
     * As {@link #resolve(String)}.
     *
     * @param environment of the process; {@code QLORA_SMOLLM2} names a folder, or a {@code .gguf}
     *     file, to take in place of the hub's
     */
    static String resolve(String name, Map<String, String> environment) {
        if (!name.equals(SMOLLM2)) {
            return name;
        }
        @Nullable String here = environment.get(SMOLLM2_HERE);
        return here == null || here.isBlank()
                ? SMOLLM2_ON_HUB
                : Path.of(here).toAbsolutePath().normalize().toString();
    }
}

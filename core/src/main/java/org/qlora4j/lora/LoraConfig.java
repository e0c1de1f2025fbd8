package org.qlora4j.lora;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Map.Entry;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.template.PythonPattern;
import org.qlora4j.template.PythonRegex;

/**
 * Size, strength and place of the low-rank update added to frozen linear layers (arXiv 2106.09685,
 * section 4.1): section {@code lora} of the settings. Keys and meanings are those of PEFT's {@code
 * LoraConfig}.
 *
 * @param r inner width of A [r, in] and B [out, r]; at least 1
 * @param loraAlpha the update is scaled by {@code lora_alpha / r}; above 0
 * @param loraDropout share of A's inputs zeroed while training, in [0, 1)
 * @param targetModules layers that get an update
 * @param excludeModules layers that get none though they are targets, or null
 * @param useRslora scale by {@code lora_alpha / sqrt(r)} instead (arXiv 2312.03732)
 * @param rankPattern other r of some layers, by a regular expression for the end of their path;
 *     first hit wins
 * @param alphaPattern other lora_alpha of some layers, likewise
 * @param layersToTransform numbers of the blocks to adapt, counted from 0; null for all
 * @param initLoraWeights start values of A and B
 * @param useDora learn the length of each row of the weight besides (arXiv 2402.09353)
 * @param modulesToSave modules that learn whole and are saved with the adapter, by the end of their
 *     path; null for none
 */
public record LoraConfig(
        @JsonProperty("r")
                @JsonPropertyDescription("Rank: inner width of the two factors of the update.")
                int r,
        @JsonProperty("lora_alpha")
                @JsonPropertyDescription("The update is scaled by lora_alpha / r.")
                double loraAlpha,
        @JsonProperty("lora_dropout")
                @JsonPropertyDescription(
                        "Share of the adapters' inputs zeroed while training, in [0, 1).")
                double loraDropout,
        @JsonProperty("target_modules")
                @JsonPropertyDescription(
                        "Layers to adapt: all-linear, names such as [q_proj, v_proj], or a regular expression for"
                                + " the whole module path.")
                TargetModules targetModules,
        @JsonProperty("exclude_modules")
                @JsonPropertyDescription(
                        "Layers to leave out though they are targets: names or a regular expression.")
                @Nullable TargetModules excludeModules,
        @JsonProperty("use_rslora")
                @JsonPropertyDescription("Scale the update by lora_alpha / sqrt(r) instead.")
                boolean useRslora,
        @JsonProperty("rank_pattern")
                @JsonPropertyDescription(
                        "Another r for some layers, by a regular expression for the end of their path.")
                Map<String, Integer> rankPattern,
        @JsonProperty("alpha_pattern")
                @JsonPropertyDescription(
                        "Another lora_alpha for some layers, by a regular expression for the end of their path.")
                Map<String, Double> alphaPattern,
        @JsonProperty("layers_to_transform")
                @JsonPropertyDescription(
                        "Numbers of the blocks to adapt, counted from 0; null for all.")
                @Nullable List<Integer> layersToTransform,
        @JsonProperty("init_lora_weights")
                @JsonPropertyDescription(
                        "Start values: true (A Kaiming uniform, B 0), gaussian (A normal, B 0), pissa (A and B the"
                                + " principal part of the weight, the base its rest), or pissa_niter_16 (the same,"
                                + " nearly, by randomized iterations). With pissa, lora_dropout should be 0.")
                LoraInit initLoraWeights,
        @JsonProperty("use_dora")
                @JsonPropertyDescription(
                        "DoRA: learn the length of each row of the weights besides the low-rank update.")
                boolean useDora,
        @JsonProperty("modules_to_save")
                @JsonPropertyDescription(
                        "Modules that learn whole and are saved with the adapter, by the end of their path:"
                                + " embed_tokens, lm_head, norms; null for none. A head tied to the embeddings learns"
                                + " with them.")
                @Nullable List<String> modulesToSave) {
    /** The paper's: every linear layer, r 64, alpha 16 (appendix B). */
    public static final LoraConfig DEFAULT =
            new LoraConfig(
                    64,
                    16,
                    0,
                    new TargetModules.AllLinear(),
                    null,
                    false,
                    Map.of(),
                    Map.of(),
                    null,
                    LoraInit.KAIMING_UNIFORM,
                    false,
                    null);

    public LoraConfig {
        require(r >= 1, "lora.r must be at least 1, got %d", r);
        require(
                loraAlpha > 0 && loraAlpha <= Float.MAX_VALUE,
                "lora.lora_alpha must be above 0 and fit 32 bits, got %s",
                loraAlpha);
        require(
                loraDropout >= 0 && loraDropout < 1,
                "lora.lora_dropout must be in [0, 1), got %s",
                loraDropout);
        require(
                !(excludeModules instanceof TargetModules.AllLinear),
                "lora.exclude_modules must not be all-linear, which would leave no layer to adapt");
        rankPattern.forEach((pattern, rank) -> {
            checkPattern("lora.rank_pattern", pattern);
            require(
                    rank >= 1,
                    "lora.rank_pattern must hold ranks of at least 1, got %d for %s",
                    rank,
                    pattern);
        });
        alphaPattern.forEach((pattern, alpha) -> {
            checkPattern("lora.alpha_pattern", pattern);
            require(
                    alpha > 0 && alpha <= Float.MAX_VALUE,
                    "lora.alpha_pattern must hold numbers above 0 that fit 32 bits, got %s for %s",
                    alpha,
                    pattern);
        });
        if (layersToTransform != null) {
            require(
                    !layersToTransform.isEmpty(),
                    "lora.layers_to_transform is an empty list; name at least one block, or null for all");
            for (int layer : layersToTransform) {
                require(
                        layer >= 0,
                        "lora.layers_to_transform must hold numbers from 0, got %d",
                        layer);
            }
            layersToTransform = List.copyOf(layersToTransform);
        }
        if (modulesToSave != null) {
            require(
                    !modulesToSave.isEmpty(),
                    "lora.modules_to_save is an empty list; name at least one module, or null for none");
            for (String name : modulesToSave) {
                require(
                        !name.isBlank(),
                        "lora.modules_to_save has an empty name; name a module, e.g. embed_tokens");
            }
            modulesToSave = List.copyOf(modulesToSave);
        }
        require(
                !(useDora && initLoraWeights instanceof LoraInit.Pissa),
                "lora.use_dora cannot be combined with lora.init_lora_weights %s, whose base is not the checkpoint's;"
                        + " choose one",
                initLoraWeights.json());
        rankPattern = inOrder(rankPattern);
        alphaPattern = inOrder(alphaPattern);
    }

    /** The same with another rank and alpha. */
    public LoraConfig withRank(int newRank, double newAlpha) {
        return new LoraConfig(
                newRank,
                newAlpha,
                loraDropout,
                targetModules,
                excludeModules,
                useRslora,
                rankPattern,
                alphaPattern,
                layersToTransform,
                initLoraWeights,
                useDora,
                modulesToSave);
    }

    /**
     * The settings of the plain adapter that holds an update and a start to subtract side by side:
     * every rank twice as large, at the same scales.
     */
    LoraConfig doubled() {
        double factor = useRslora ? Math.sqrt(2) : 2;
        Map<String, Integer> ranks = new LinkedHashMap<>();
        rankPattern.forEach((pattern, rank) -> ranks.put(pattern, 2 * rank));
        Map<String, Double> alphas = new LinkedHashMap<>();
        alphaPattern.forEach((pattern, alpha) -> alphas.put(pattern, factor * alpha));
        return new LoraConfig(
                2 * r,
                factor * loraAlpha,
                loraDropout,
                targetModules,
                excludeModules,
                useRslora,
                ranks,
                alphas,
                layersToTransform,
                LoraInit.KAIMING_UNIFORM,
                useDora,
                modulesToSave);
    }

    /** The same with embeddings and head among the modules that learn whole. */
    public LoraConfig savingTables() {
        List<String> names = new ArrayList<>(modulesToSave == null ? List.of() : modulesToSave);
        for (String table : SavedModule.TABLES) {
            if (names.stream().noneMatch(table::endsWith)) {
                names.add(table);
            }
        }
        return new LoraConfig(
                r,
                loraAlpha,
                loraDropout,
                targetModules,
                excludeModules,
                useRslora,
                rankPattern,
                alphaPattern,
                layersToTransform,
                initLoraWeights,
                useDora,
                names);
    }

    /**
     * Rank of the layer with this module path: that of the first rank pattern that fits, else
     * {@link #r}.
     */
    public int rankOf(String modulePath) {
        return firstMatch(rankPattern, modulePath, r);
    }

    /**
     * Factor on the update of the layer with this module path: {@code alpha / r}, or {@code alpha /
     * sqrt(r)}.
     */
    public double scalingOf(String modulePath) {
        double alpha = firstMatch(alphaPattern, modulePath, loraAlpha);
        int rank = rankOf(modulePath);
        return useRslora ? alpha / Math.sqrt(rank) : alpha / rank;
    }

    private static <V> V firstMatch(Map<String, V> patterns, String modulePath, V otherwise) {
        for (Entry<String, V> entry : patterns.entrySet()) {
            if (PythonRegex.matches(atTheEnd(entry.getKey()), modulePath)) {
                return entry.getValue();
            }
        }
        return otherwise;
    }

    /** The expression that PEFT makes of a pattern, {@code rf"(.*\\.)?({key})$"}. */
    private static String atTheEnd(String pattern) {
        return "(.*\\.)?(" + pattern + ")";
    }

    private static void checkPattern(String key, String pattern) {
        try {
            PythonPattern.compile(pattern, 0);
        } catch (PatternSyntaxException e) {
            throw ConfigException.of(
                    "%s has a key that is not a regular expression: %s at index %d of %s",
                    key, e.getDescription(), e.getIndex(), pattern);
        }
    }

    /** A copy that keeps its order, on which the first hit depends. */
    private static <V> Map<String, V> inOrder(Map<String, V> map) {
        return Collections.unmodifiableMap(new LinkedHashMap<>(map));
    }
}

package org.qlora4j.generate;

import static org.qlora4j.error.Require.require;

import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.JsonNumber;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.ConfigFile;
import tools.jackson.databind.JsonNode;

/**
 * How beams are searched; names and meaning are those of transformers' {@code GenerationConfig}.
 *
 * @param numBeams texts that are continued side by side, at least 1
 * @param lengthPenalty power of its length that a text's log-probability is divided by; above 0 it
 *     favors long ones
 * @param earlyStopping when the search ends, once there are {@code numBeams} finished texts
 */
public record BeamConfig(int numBeams, double lengthPenalty, EarlyStopping earlyStopping) {
    /** When a search with enough finished texts ends. */
    public enum EarlyStopping {
        /** As soon as there are enough. */
        TRUE,
        /** When the best text under way would not beat the worst finished one at its length. */
        FALSE,
        /** When it would not at any length. */
        NEVER
    }

    public BeamConfig {
        require(numBeams >= 1, "generation.num_beams must be at least 1, got %d", numBeams);
        require(
                Double.isFinite(lengthPenalty),
                "generation.length_penalty must be a number, got %s",
                lengthPenalty);
    }

    /** As transformers has it where nothing else is said. */
    public static BeamConfig of(int numBeams) {
        return new BeamConfig(numBeams, 1, EarlyStopping.FALSE);
    }

    /**
     * What {@code generation_config.json} of a checkpoint says; one beam where it says nothing.
     *
     * @param folder of the checkpoint
     * @throws FormatException naming a value that is out of range
     */
    public static BeamConfig ofCheckpoint(Path folder) {
        Path file = folder.resolve("generation_config.json");
        if (!Files.isRegularFile(file)) {
            return of(1);
        }
        ConfigFile json = ConfigFile.of(file);
        JsonNode penalty = json.node("length_penalty");
        if (penalty != null && !penalty.isNumber()) {
            throw FormatException.of("%s: length_penalty must be a number, got %s", file, penalty);
        }
        JsonNode stopping = json.node("early_stopping");
        try {
            return new BeamConfig(
                    json.positive("num_beams", 1),
                    penalty == null ? 1 : JsonNumber.of(penalty),
                    earlyStopping(stopping == null ? null : stopping.asString("")));
        } catch (ConfigException e) {
            throw new FormatException(file + ": " + e.getMessage(), e);
        }
    }

    /**
     * The rule by the name that transformers has for it.
     *
     * @param name {@code true}, {@code false} or {@code never}; null for {@code false}
     * @throws ConfigException if it is another
     */
    public static EarlyStopping earlyStopping(@Nullable String name) {
        return switch (name) {
            case null -> EarlyStopping.FALSE;
            case "false" -> EarlyStopping.FALSE;
            case "true" -> EarlyStopping.TRUE;
            case "never" -> EarlyStopping.NEVER;
            default ->
                    throw ConfigException.of(
                            "generation.early_stopping must be true, false or never, got %s", name);
        };
    }

    /**
     * Checks that settings are limits alone, as beams need.
     *
     * @throws ConfigException if they ask for sampling, penalties or stop strings
     */
    public static void requireLimitsAlone(GenerationConfig config) {
        if (!areLimitsAlone(config)) {
            throw new ConfigException(
                    "beams keep the likeliest texts: with generation.num_beams set max_new_tokens,"
                            + " min_new_tokens and stop_token_ids alone, without sampling, penalties or stop strings");
        }
    }

    /** Whether settings are limits alone, as beams need. */
    public static boolean areLimitsAlone(GenerationConfig config) {
        GenerationConfig limits =
                GenerationConfig.builder()
                        .maxNewTokens(config.maxNewTokens())
                        .minNewTokens(config.minNewTokens())
                        .stopTokenIds(config.stopTokenIds())
                        .seed(config.seed())
                        .build();
        return config.equals(limits);
    }

    /** A finished text's score. */
    double score(double logProbability, int tokens) {
        return logProbability / Math.pow(tokens, lengthPenalty);
    }
}

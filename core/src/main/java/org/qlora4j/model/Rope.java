package org.qlora4j.model;

import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;

/**
 * Rotary frequencies of a config.
 *
 * @param theta base of the frequencies
 * @param scaling how they are stretched
 */
public record Rope(double theta, RopeScaling scaling) {
    /** From {@code rope_parameters} (v5), or {@code rope_theta} and {@code rope_scaling} (v4). */
    public static Rope of(ConfigFile config, int maxPositions) {
        JsonNode parameters = config.object("rope_parameters");
        JsonNode scaling = parameters != null ? parameters : config.object("rope_scaling");
        double theta = config.number("rope_theta", 10000);
        if (scaling == null) {
            return new Rope(theta, new RopeScaling.Default());
        }
        ConfigFile rope = new ConfigFile(config.file(), scaling);
        theta = rope.number("rope_theta", theta);
        String type = rope.type("rope_type", rope.type("type", "default"));
        return new Rope(
                theta,
                switch (type) {
                    case "default" -> new RopeScaling.Default();
                    case "linear" -> new RopeScaling.Linear(rope.needed("factor"));
                    case "dynamic" -> new RopeScaling.Dynamic(rope.needed("factor"));
                    case "llama3" ->
                            new RopeScaling.Llama3(
                                    rope.needed("factor"),
                                    rope.needed("low_freq_factor"),
                                    rope.needed("high_freq_factor"),
                                    rope.number("original_max_position_embeddings", maxPositions));
                    default ->
                            throw FormatException.of(
                                    "%s: rope_type \"%s\" is not supported; supported: default, linear, dynamic, llama3",
                                    config.file(), type);
                });
    }

    /** Tables of the angles, which the model is to {@linkplain Weights#keep keep}. */
    public RotaryTables tables(ModelFacts facts) {
        return new RotaryTables(scaling, facts.headDim(), theta, facts.maxPositions());
    }
}

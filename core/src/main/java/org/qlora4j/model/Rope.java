package org.qlora4j.model;

import java.util.ArrayList;
import java.util.List;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;

/**
 * Rotary angles of a config.
 *
 * @param theta base of the frequencies
 * @param scaling how they are stretched
 * @param share of a head's places that are turned, its first ones ({@code partial_rotary_factor})
 */
public record Rope(double theta, RopeScaling scaling, double share) {
    /** Angles of whole heads. */
    public Rope(double theta, RopeScaling scaling) {
        this(theta, scaling, 1);
    }

    /**
     * From {@code rope_parameters} (v5), or {@code rope_theta} and {@code rope_scaling} (v4). A
     * {@code rope_scaling} that is not empty replaces all of {@code rope_parameters}, as in
     * transformers.
     *
     * @throws FormatException if only a part of each head is to be turned, which most families do
     *     not know
     */
    public static Rope of(ConfigFile config, ModelFacts facts) {
        Rope rope = partial(config, facts, facts.maxPositions());
        if (rope.share != 1) {
            throw FormatException.of(
                    "%s: partial_rotary_factor must be 1, got %s; models of type %s turn whole heads",
                    config.file(), rope.share, facts.type());
        }
        return rope;
    }

    /**
     * As {@link #of}, of a family that may turn a part of each head.
     *
     * @param original context length before a stretch, where the file does not say
     */
    public static Rope partial(ConfigFile config, ModelFacts facts, int original) {
        JsonNode replacing = config.object("rope_scaling");
        JsonNode scaling = replacing != null ? replacing : config.object("rope_parameters");
        double theta = config.aboveZero("rope_theta", 10000);
        double share = config.number("partial_rotary_factor", 1);
        int length = config.positive("original_max_position_embeddings", original);
        if (scaling == null) {
            return new Rope(theta, new RopeScaling.Default(), share).checked(config, facts);
        }
        for (String kind : List.of("full_attention", "sliding_attention")) {
            if (scaling.path(kind).isObject()) {
                throw FormatException.of(
                        "%s: %s has angles for %s alone; models of type %s have one kind of angles for all layers",
                        config.file(),
                        replacing != null ? "rope_scaling" : "rope_parameters",
                        kind,
                        facts.type());
            }
        }
        return ofParameters(new ConfigFile(config.file(), scaling), facts, theta, share, length);
    }

    /**
     * From one object of parameters, for families with several.
     *
     * @param theta where it does not say
     */
    public static Rope ofParameters(ConfigFile rope, ModelFacts facts, double theta) {
        return ofParameters(rope, facts, theta, 1, facts.maxPositions());
    }

    private static Rope ofParameters(
            ConfigFile rope, ModelFacts facts, double theta, double share, int original) {
        String type = rope.type("rope_type", rope.type("type", "default"));
        // Phi-3's own spellings of longrope
        boolean longRope = type.equals("su") || rope.node("short_factor") != null;
        RopeScaling scaling =
                switch (longRope ? "longrope" : type) {
                    case "default" -> new RopeScaling.Default();
                    case "linear" -> new RopeScaling.Linear(rope.needed("factor"));
                    case "dynamic" -> new RopeScaling.Dynamic(rope.needed("factor"));
                    case "llama3" ->
                            new RopeScaling.Llama3(
                                    rope.needed("factor"),
                                    rope.needed("low_freq_factor"),
                                    rope.needed("high_freq_factor"),
                                    rope.aboveZero("original_max_position_embeddings", original));
                    case "yarn" -> yarn(rope, facts, original);
                    case "longrope" -> longRope(rope, facts, original);
                    default ->
                            throw FormatException.of(
                                    "%s: rope_type \"%s\" is not supported; supported: default, linear, dynamic, llama3,"
                                            + " yarn, longrope",
                                    rope.file(), type);
                };
        return new Rope(
                        rope.aboveZero("rope_theta", theta),
                        scaling,
                        rope.number("partial_rotary_factor", share))
                .checked(rope, facts);
    }

    private static RopeScaling yarn(ConfigFile rope, ModelFacts facts, int unsaid) {
        double original = rope.positive("original_max_position_embeddings", unsaid);
        double factor = rope.aboveZero("factor", facts.maxPositions() / original);
        double own = RopeScaling.Yarn.attention(factor, 1);
        double mscale = rope.number("mscale", 0);
        double mscaleAll = rope.number("mscale_all_dim", 0);
        if (mscale != 0 && mscaleAll != 0) {
            own =
                    RopeScaling.Yarn.attention(factor, mscale)
                            / RopeScaling.Yarn.attention(factor, mscaleAll);
        }
        return new RopeScaling.Yarn(
                factor,
                original,
                rope.aboveZero("beta_fast", 32),
                rope.aboveZero("beta_slow", 1),
                rope.node("truncate") == null || rope.flag("truncate"),
                rope.number("attention_factor", own));
    }

    private static RopeScaling longRope(ConfigFile rope, ModelFacts facts, int unsaid) {
        int original = rope.positive("original_max_position_embeddings", unsaid);
        double factor = rope.aboveZero("factor", (double) facts.maxPositions() / original);
        double own = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
        return new RopeScaling.LongRope(
                factors(rope, "short_factor"),
                factors(rope, "long_factor"),
                original,
                rope.number("attention_factor", own));
    }

    private static List<Double> factors(ConfigFile rope, String key) {
        JsonNode list = rope.node(key);
        List<Double> out = new ArrayList<>();
        for (int i = 0; list != null && i < list.size(); i++) {
            double factor = list.get(i).isNumber() ? list.get(i).doubleValue() : 0;
            if (!(factor > 0) || Double.isInfinite(factor)) {
                throw FormatException.of(
                        "%s: %s must be a list of numbers above 0, has %s",
                        rope.file(), key, list.get(i));
            }
            out.add(factor);
        }
        return out;
    }

    /** Throws unless an even number of places is turned, with a factor for each two. */
    private Rope checked(ConfigFile config, ModelFacts facts) {
        int turned = (int) (facts.headDim() * share);
        if (turned < 2 || turned % 2 != 0 || share > 1) {
            throw FormatException.of(
                    "%s: partial_rotary_factor %s turns %d of the %d places of a head; it must be an even number of"
                            + " them",
                    config.file(), share, turned, facts.headDim());
        }
        if (scaling instanceof RopeScaling.Dynamic && turned == 2) {
            throw FormatException.of(
                    "%s: rope_type \"dynamic\" needs 4 turned places of a head at least, got 2",
                    config.file());
        }
        if (scaling instanceof RopeScaling.LongRope longRope
                && (longRope.shortFactors().size() != turned / 2
                        || longRope.longFactors().size() != turned / 2)) {
            throw FormatException.of(
                    "%s: short_factor and long_factor must have %d numbers each, have %d and %d",
                    config.file(),
                    turned / 2,
                    longRope.shortFactors().size(),
                    longRope.longFactors().size());
        }
        return this;
    }

    /** Tables of the angles, which the model is to {@linkplain Weights#keep keep}. */
    public RotaryTables tables(ModelFacts facts) {
        int turned = (int) (facts.headDim() * share);
        return new RotaryTables(scaling, turned, theta, facts.maxPositions());
    }
}

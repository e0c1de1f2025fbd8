package org.qlora4j.model;

import java.util.Set;
import java.util.TreeSet;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;

/**
 * The layers of a model whose attention looks back over a window only ({@code layer_types}).
 *
 * @param positions that a query of such a layer sees, its own among them; 0 if no layer has a
 *     window
 * @param layers their numbers, from 0
 */
public record LayerWindows(int positions, Set<Integer> layers) {
    /** No layer has a window. */
    public static final LayerWindows NONE = new LayerWindows(0, Set.of());

    public LayerWindows {
        layers = Set.copyOf(layers);
    }

    /**
     * A window of {@code sliding_window} positions in every layer; none where that is null.
     *
     * @param otherwise positions where the file does not say; 0 for none
     */
    public static LayerWindows everywhere(ConfigFile config, ModelFacts facts, int otherwise) {
        return of(config.positiveOrNull("sliding_window", otherwise), facts, layer -> true);
    }

    /**
     * As {@code layer_types} says, which {@code full_attention} and {@code sliding_attention} may
     * stand in.
     *
     * @param window positions of the window; 0 if the config has none
     * @param otherwise whether a layer has a window where the file has no {@code layer_types}
     */
    public static LayerWindows of(
            ConfigFile config, ModelFacts facts, int window, IntPredicate otherwise) {
        JsonNode types = config.node("layer_types");
        if (types == null) {
            return of(window, facts, otherwise);
        }
        if (!types.isArray() || types.size() != facts.layers()) {
            throw FormatException.of(
                    "%s: layer_types must be a list of %d types, one for each layer, got %s",
                    config.file(),
                    facts.layers(),
                    types.isArray() ? types.size() + " of them" : types);
        }
        Set<Integer> layers = new TreeSet<>();
        for (int i = 0; i < types.size(); i++) {
            switch (types.get(i).asString("")) {
                case "full_attention" -> {}
                case "sliding_attention" -> layers.add(i);
                default ->
                        throw FormatException.of(
                                "%s: layer_types has %s for layer %d; supported: full_attention, sliding_attention",
                                config.file(), types.get(i), i);
            }
        }
        if (window == 0 && !layers.isEmpty()) {
            throw FormatException.of(
                    "%s: layer_types has sliding_attention for layer %d, but sliding_window is not set",
                    config.file(), layers.iterator().next());
        }
        return layers.isEmpty() ? NONE : new LayerWindows(window, layers);
    }

    private static LayerWindows of(int window, ModelFacts facts, IntPredicate slides) {
        Set<Integer> layers =
                IntStream.range(0, window == 0 ? 0 : facts.layers())
                        .filter(slides)
                        .boxed()
                        .collect(Collectors.toSet());
        return layers.isEmpty() ? NONE : new LayerWindows(window, layers);
    }

    /** Whether a layer has a window. */
    public boolean slides(int layer) {
        return layers.contains(layer);
    }

    /** Whether all layers of a model have it, or none. */
    public boolean areAlike(ModelFacts facts) {
        return layers.isEmpty() || layers.size() == facts.layers();
    }

    /** The shape of a layer's attention. */
    public AttentionShape of(int layer, AttentionShape shape) {
        return slides(layer) ? shape.withWindow(positions) : shape;
    }
}

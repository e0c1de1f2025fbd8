package org.qlora4j.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Weight;

/**
 * A model without its weights: what they are called and how large they are, as its family asks for
 * them. Plans, dry runs, benchmarks and adapters' targets read it; nobody else lists a family's
 * layers.
 *
 * @param linears the linear layers but the head, in the order of asking
 * @param others weights that are never quantized: embeddings, norms, biases of linears, head
 * @param tables names of those with a row for each token
 * @param headTable name of the table that the head multiplies by
 */
public record ModelShape(
        Architecture architecture,
        ModelFacts facts,
        List<LinearShape> linears,
        List<WeightShape> others,
        List<String> tables,
        String headTable) {
    private static final Pattern LAYER = Pattern.compile("(.*?\\.\\d+)\\..+");

    /**
     * A linear layer, as it is listed.
     *
     * @param path module path in the checkpoint, e.g. {@code model.layers.0.mlp.up_proj}
     * @param quantizable whether it is held in 4 bits where linears are
     * @param transposed whether checkpoints have its weight as [in, out]
     */
    public record LinearShape(
            String path, long out, long in, boolean bias, boolean quantizable, boolean transposed) {
        /** Its last part, e.g. {@code up_proj}. */
        public String name() {
            return path.substring(path.lastIndexOf('.') + 1);
        }
    }

    /** A weight by its name in the checkpoint. */
    public record WeightShape(String name, List<Long> sizes) {
        public long count() {
            return sizes.stream().mapToLong(Long::longValue).reduce(1, Math::multiplyExact);
        }
    }

    /** Lists the weights that a config calls for. */
    public static ModelShape of(Architecture architecture) {
        ListedWeights.Lists lists = new ListedWeights.Lists(new ArrayList<>(), new ArrayList<>());
        Decoder decoder = architecture.build(new ListedWeights("", lists));
        if (!(decoder.head().weight() instanceof Weight.Dense(Parameter head))) {
            throw new IllegalStateException("a head is never quantized");
        }
        return new ModelShape(
                architecture,
                architecture.facts(),
                List.copyOf(lists.linears()),
                List.copyOf(lists.others()),
                decoder.tables().stream().map(Parameter::name).toList(),
                head.name());
    }

    /**
     * What the names of all weights of a decoder layer begin with, e.g. {@code model.layers.7}.
     *
     * @param name of one of them, or of a module
     * @return null if it is of no layer
     */
    public static @Nullable String layer(String name) {
        Matcher layer = LAYER.matcher(name);
        return layer.matches() ? layer.group(1) : null;
    }

    static WeightShape weight(String name, long... shape) {
        return new WeightShape(name, Arrays.stream(shape).boxed().toList());
    }

    public int vocabularySize() {
        return facts.vocabularySize();
    }

    public int hiddenSize() {
        return facts.hiddenSize();
    }

    public int layers() {
        return facts.layers();
    }

    public int maxPositions() {
        return facts.maxPositions();
    }

    public Set<Integer> eosIds() {
        return facts.eosIds();
    }

    /** Whether the head is a table of its own, not the embeddings. */
    public boolean hasOwnHead() {
        return tables.size() > 1;
    }

    /** The linear layers of the last decoder layer; all layers have the same. */
    public List<LinearShape> lastLayer() {
        return linears.subList(linears.size() - linears.size() / layers(), linears.size());
    }

    /** Number of weights. */
    public long parameterCount() {
        long linear = linears.stream().mapToLong(l -> l.out() * l.in()).sum();
        return linear + others.stream().mapToLong(WeightShape::count).sum();
    }

    /** Number of weights of the linears alone. */
    public long linearCount() {
        return linears.stream().mapToLong(l -> l.out() * l.in()).sum();
    }
}

package org.qlora4j.lora;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Several adapters of one base model as one, each with a weight (PEFT's {@code
 * add_weighted_adapter}).
 */
public final class CombinedAdapters implements WeightChanges {
    private final List<StoredAdapter> adapters;
    private final List<Double> weights;
    private final Combination how;
    private final double density;

    /**
     * Takes the adapters over, which it closes.
     *
     * @param weights of each
     * @param density share of entries that {@link Combination#prunes} keeps
     * @throws FormatException if this combination has no meaning for adapters of their kind
     */
    public CombinedAdapters(
            List<StoredAdapter> adapters, List<Double> weights, Combination how, double density) {
        this.adapters = List.copyOf(adapters);
        this.weights = List.copyOf(weights);
        this.how = how;
        this.density = density;
        for (StoredAdapter adapter : adapters) {
            if (how != Combination.CAT && (adapter.config().useDora() || !adapter.isPlain())) {
                throw FormatException.of(
                        "%s: %s combines factors A and B alone; DoRA, modules trained whole and biases are combined by"
                                + " --combine cat",
                        adapter.origin(), how.key());
            }
        }
    }

    @Override
    public boolean changes(String name) {
        return adapters.stream().anyMatch(adapter -> adapter.changes(name));
    }

    @Override
    public long[] shape(String name, long[] base) {
        for (StoredAdapter adapter : adapters) {
            if (!Arrays.equals(adapter.shape(name, base), base)) {
                throw FormatException.of(
                        "%s: brings rows for new tokens to %s; such an adapter is merged alone",
                        adapter.origin(), name);
            }
        }
        return base;
    }

    @Override
    public Tensor merged(String name, Tensor base, boolean transposed) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor out = base.copy();
            if (how == Combination.CAT) {
                for (int i = 0; i < adapters.size(); i++) {
                    addChange(i, name, base, transposed, out);
                }
            } else {
                addFactors(name, out);
            }
            return scope.promote(out);
        }
    }

    private void addChange(int i, String name, Tensor base, boolean transposed, Tensor out) {
        if (!adapters.get(i).changes(name)) {
            return;
        }
        try (TensorScope scope = TensorScope.open()) {
            Tensor change = adapters.get(i).merged(name, base, transposed).minus(base);
            out.addInPlace(change, weights.get(i));
        }
    }

    private void addFactors(String name, Tensor weight) {
        List<float[]> as = new ArrayList<>();
        List<float[]> bs = new ArrayList<>();
        List<Double> roots = new ArrayList<>();
        List<Double> signed = new ArrayList<>();
        int rank = 0;
        for (int i = 0; i < adapters.size(); i++) {
            StoredAdapter adapter = adapters.get(i);
            if (!adapter.hasFactorsOf(name)) {
                continue;
            }
            if (rank != 0 && rank != adapter.rankOf(name)) {
                throw FormatException.of(
                        "%s: has rank %d for %s where another adapter has %d; %s needs equal ranks, take --combine cat",
                        adapter.origin(), adapter.rankOf(name), name, rank, how.key());
            }
            rank = adapter.rankOf(name);
            try (TensorScope scope = TensorScope.open()) {
                as.add(adapter.factorA(name, weight.shape()).toFloats());
                bs.add(adapter.factorB(name, weight.shape()).toFloats());
            }
            double scaled = weights.get(i) * adapter.scalingOf(name);
            roots.add(Math.sqrt(Math.abs(scaled)));
            signed.add(Math.copySign(Math.sqrt(Math.abs(scaled)), scaled)); // on one side alone
        }
        if (rank == 0) {
            return;
        }
        try (TensorScope scope = TensorScope.open()) {
            Tensor a = Tensors.of(combined(as, signed), rank, weight.size(1));
            Tensor b = Tensors.of(combined(bs, roots), weight.size(0), rank);
            weight.addmmInPlace(b, a, 1, 1);
        }
    }

    /** One factor of several. */
    private float[] combined(List<float[]> factors, List<Double> weights) {
        List<float[]> kept = new ArrayList<>();
        for (float[] factor : factors) {
            kept.add(how.prunes() && density < 1 ? largest(factor) : factor);
        }
        float[] out = new float[factors.getFirst().length];
        for (int i = 0; i < out.length; i++) {
            out[i] = how == Combination.TIES ? elected(kept, weights, i) : sum(kept, weights, i);
        }
        return out;
    }

    private static float sum(List<float[]> factors, List<Double> weights, int i) {
        float sum = 0;
        for (int k = 0; k < factors.size(); k++) {
            sum += factors.get(k)[i] * weights.get(k).floatValue();
        }
        return sum;
    }

    /** The mean of those that have the sign of the sum, as it is without weights. */
    private static float elected(List<float[]> factors, List<Double> weights, int i) {
        float plain = 0;
        for (float[] factor : factors) {
            plain += factor[i];
        }
        float sign = plain >= 0 ? 1 : -1;
        float sum = 0;
        int count = 0;
        for (int k = 0; k < factors.size(); k++) {
            if (Math.signum(factors.get(k)[i]) == sign) {
                sum += factors.get(k)[i] * weights.get(k).floatValue();
                count++;
            }
        }
        return sum / Math.max(1, count);
    }

    /** The entries of the largest magnitude, {@link #density} of all; 0 in place of the others. */
    private float[] largest(float[] factor) {
        int count = (int) (density * factor.length);
        float[] out = new float[factor.length];
        if (count == 0) {
            return out;
        }
        float[] sorted = new float[factor.length];
        for (int i = 0; i < sorted.length; i++) {
            sorted[i] = Math.abs(factor[i]);
        }
        Arrays.sort(sorted);
        float least = sorted[sorted.length - count];
        int equal = count; // of those as large as the least, the first ones
        for (float value : factor) {
            equal -= Math.abs(value) > least ? 1 : 0;
        }
        for (int i = 0; i < out.length; i++) {
            boolean tie = Math.abs(factor[i]) == least && equal-- > 0;
            if (Math.abs(factor[i]) > least || tie) {
                out[i] = factor[i];
            }
        }
        return out;
    }

    @Override
    public void requireFits(Collection<String> names, @Nullable String tiedHead) {
        adapters.forEach(adapter -> adapter.requireFits(names, tiedHead));
    }

    @Override
    public int rows(int base) {
        return adapters.stream().mapToInt(adapter -> adapter.rows(base)).max().orElse(base);
    }

    @Override
    public void close() {
        adapters.forEach(StoredAdapter::close);
    }
}

package org.qlora4j.task;

import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.IntStream;
import org.qlora4j.data.PythonRandom;

/**
 * Standard errors as the harness gives them: that of a mean in closed form, those of others by
 * drawing documents with replacement, in chunks of 1000 draws with seeds 0, 1, 2 and so on.
 */
final class StandardError {
    private static final int CHUNK = 1000;

    private StandardError() {}

    /**
     * @param iterations draws where there is no closed form; 0 for no standard errors at all
     * @return empty where the harness says N/A
     */
    static OptionalDouble of(Aggregation aggregation, List<double[]> values, int iterations) {
        if (values.size() < 2 || iterations == 0) {
            return OptionalDouble.empty();
        }
        return switch (aggregation) {
            case MEAN ->
                    OptionalDouble.of(
                            deviation(values.stream().mapToDouble(v -> v[0]).toArray())
                                    / Math.sqrt(values.size()));
            case MEDIAN, NANMEAN, PERPLEXITY, F1, MATTHEWS_CORRCOEF ->
                    OptionalDouble.of(bootstrap(aggregation, values, iterations));
            case WEIGHTED_PERPLEXITY,
                    NATS_PER_WEIGHT,
                    BITS_PER_BYTE,
                    BRIER_SCORE,
                    AGG_INST_LEVEL_ACC ->
                    OptionalDouble.empty();
        };
    }

    private static double bootstrap(Aggregation aggregation, List<double[]> values, int draws) {
        int chunk = Math.min(CHUNK, draws);
        double[] drawn =
                IntStream.range(0, draws / chunk)
                        .parallel()
                        .mapToObj(seed -> draw(aggregation, values, chunk, seed))
                        .flatMapToDouble(Arrays::stream)
                        .toArray();
        return deviation(drawn);
    }

    private static double[] draw(
            Aggregation aggregation, List<double[]> values, int count, int seed) {
        PythonRandom random = new PythonRandom(seed);
        int[] places = new int[values.size()];
        Chosen chosen = new Chosen(values, places);
        double[] out = new double[count];
        for (int i = 0; i < count; i++) {
            random.choices(values.size(), places);
            out[i] = aggregation.of(chosen);
        }
        return out;
    }

    /** A view of some documents' values. */
    static final class Chosen extends AbstractList<double[]> {
        private final List<double[]> values;
        private final int[] places;

        Chosen(List<double[]> values, int[] places) {
            this.values = values;
            this.places = places;
        }

        @Override
        public double[] get(int index) {
            return values.get(places[index]);
        }

        @Override
        public int size() {
            return places.length;
        }
    }

    /** The sample's standard deviation. */
    private static double deviation(double[] values) {
        double sum = 0;
        for (double value : values) {
            sum += value;
        }
        double mean = sum / values.length;
        double squares = 0;
        for (double value : values) {
            squares += (value - mean) * (value - mean);
        }
        return Math.sqrt(squares / (values.length - 1));
    }
}

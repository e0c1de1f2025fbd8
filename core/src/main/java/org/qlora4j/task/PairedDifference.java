package org.qlora4j.task;

import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.qlora4j.data.PythonRandom;

/**
 * What changed on the same documents between two models, and whether chance alone would do that.
 *
 * @param documents their number
 * @param before the first model's number
 * @param after the second's
 * @param low lower end of the 95% interval of {@code after - before}: documents drawn with
 *     replacement, the same for both models (percentiles of {@link #DRAWS} draws)
 * @param high upper end
 * @param bootstrapP twice the smaller share of draws on one side of no difference, at most 1
 * @param learnt documents wrong before and right after; empty where documents are not right or
 *     wrong
 * @param forgotten documents right before and wrong after
 * @param mcNemarP exact McNemar test: how likely so uneven a split of learnt and forgotten is if
 *     both are equally likely
 * @param needed documents with which a difference of this size would be seen in four of five trials
 *     at the 5% level (Connor, Biometrics 43, 1987); empty without a difference
 */
public record PairedDifference(
        int documents,
        double before,
        double after,
        double low,
        double high,
        double bootstrapP,
        OptionalInt learnt,
        OptionalInt forgotten,
        OptionalDouble mcNemarP,
        OptionalDouble needed) {
    /** Draws of documents. */
    public static final int DRAWS = 10_000;

    private static final int CHUNK = 500;

    /** Quantiles of the normal distribution at 0.975 and 0.8. */
    private static final double Z_LEVEL = 1.959963984540054;

    private static final double Z_POWER = 0.8416212335729143;

    /** The change, {@code after - before}. */
    public double difference() {
        return after - before;
    }

    /**
     * Compares.
     *
     * @param before values of the documents by the first model
     * @param after by the second, in the same order
     */
    static PairedDifference of(
            Aggregation aggregation, List<double[]> before, List<double[]> after) {
        double first = aggregation.of(before);
        double second = aggregation.of(after);
        double[] drawn = drawn(aggregation, before, after);
        Arrays.sort(drawn);
        long below = Arrays.stream(drawn).filter(d -> d <= 0).count();
        long above = Arrays.stream(drawn).filter(d -> d >= 0).count();
        double p = Math.min(1, 2.0 * Math.min(below, above) / drawn.length);
        boolean rightOrWrong =
                aggregation == Aggregation.MEAN && isBinary(before) && isBinary(after);
        int learnt = 0;
        int forgotten = 0;
        for (int i = 0; i < before.size(); i++) {
            double change = after.get(i)[0] - before.get(i)[0];
            learnt += change > 0 ? 1 : 0;
            forgotten += change < 0 ? 1 : 0;
        }
        return new PairedDifference(
                before.size(),
                first,
                second,
                quantile(drawn, 0.025),
                quantile(drawn, 0.975),
                p,
                rightOrWrong ? OptionalInt.of(learnt) : OptionalInt.empty(),
                rightOrWrong ? OptionalInt.of(forgotten) : OptionalInt.empty(),
                rightOrWrong
                        ? OptionalDouble.of(mcNemar(learnt, forgotten))
                        : OptionalDouble.empty(),
                rightOrWrong ? needed(learnt, forgotten, before.size()) : OptionalDouble.empty());
    }

    /**
     * Compares what texts cost: nats a token.
     *
     * @param before log-probability and tokens of each text by the first model
     * @param after by the second, in the same order
     */
    public static PairedDifference ofNats(List<double[]> before, List<double[]> after) {
        return of(Aggregation.NATS_PER_WEIGHT, before, after);
    }

    private static boolean isBinary(List<double[]> values) {
        return values.stream().allMatch(v -> v.length == 1 && (v[0] == 0 || v[0] == 1));
    }

    private static double[] drawn(
            Aggregation aggregation, List<double[]> before, List<double[]> after) {
        return IntStream.range(0, DRAWS / CHUNK)
                .parallel()
                .mapToObj(seed -> {
                    PythonRandom random = new PythonRandom(seed);
                    int[] places = new int[before.size()];
                    List<double[]> first = new StandardError.Chosen(before, places);
                    List<double[]> second = new StandardError.Chosen(after, places);
                    double[] out = new double[CHUNK];
                    for (int i = 0; i < CHUNK; i++) {
                        random.choices(before.size(), places);
                        out[i] = aggregation.of(second) - aggregation.of(first);
                    }
                    return out;
                })
                .flatMapToDouble(Arrays::stream)
                .toArray();
    }

    /** With linear interpolation, as numpy's default. */
    private static double quantile(double[] sorted, double share) {
        double at = share * (sorted.length - 1);
        int low = (int) at;
        int high = Math.min(low + 1, sorted.length - 1);
        return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
    }

    /** Exact two-sided binomial test of two counts at one half. */
    static double mcNemar(int learnt, int forgotten) {
        int n = learnt + forgotten;
        int fewer = Math.min(learnt, forgotten);
        double log = -n * Math.log(2); // of the probability of 0 among n
        double sum = 0;
        for (int k = 0; k <= fewer; k++) {
            sum += Math.exp(log);
            log += Math.log(n - k) - Math.log(k + 1);
        }
        return Math.min(1, 2 * sum);
    }

    private static OptionalDouble needed(int learnt, int forgotten, int documents) {
        double changed = (learnt + forgotten) / (double) documents;
        double difference = (learnt - forgotten) / (double) documents;
        if (difference == 0) {
            return OptionalDouble.empty();
        }
        double square = difference * difference;
        double root = Z_LEVEL * Math.sqrt(changed) + Z_POWER * Math.sqrt(changed - square);
        return OptionalDouble.of(Math.ceil(root * root / square));
    }
}

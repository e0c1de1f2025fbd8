package org.qlora4j.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.BiConsumer;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.Function;

/** Deals work out to executors in parts, and what comes back in the order in which it was given. */
final class Parts {
    /** Parts that each task slot gets in one job; the answers of a job are kept when it is over. */
    private static final int JOBS_AHEAD = 2;

    private Parts() {}

    /**
     * Computes.
     *
     * @param size of a part, at least 1
     * @param work makes of a part as many results, in order; runs on executors, again where one is
     *     lost
     * @param done takes each result with its place, in order
     */
    static <A extends Serializable, B extends Serializable> void of(
            JavaSparkContext spark,
            List<A> all,
            int size,
            Function<List<A>, List<B>> work,
            BiConsumer<Integer, B> done) {
        List<Part<A>> parts = new ArrayList<>();
        for (int from = 0; from < all.size(); from += size) {
            int to = Math.min(all.size(), from + size);
            parts.add(new Part<>(from, new ArrayList<>(all.subList(from, to))));
        }
        int slots = Math.max(1, spark.defaultParallelism());
        for (int from = 0; from < parts.size(); from += JOBS_AHEAD * slots) {
            List<Part<A>> job =
                    parts.subList(from, Math.min(parts.size(), from + JOBS_AHEAD * slots));
            List<Part<B>> results =
                    new ArrayList<>(
                            spark.parallelize(new ArrayList<>(job), job.size())
                                    .map(part ->
                                            new Part<>(
                                                    part.from,
                                                    new ArrayList<>(work.call(part.items))))
                                    .collect());
            results.sort(Comparator.comparingInt(Part::from));
            for (Part<B> part : results) {
                for (int i = 0; i < part.items.size(); i++) {
                    done.accept(part.from + i, part.items.get(i));
                }
            }
        }
    }

    /**
     * @param from place of its first item
     */
    private record Part<T>(int from, ArrayList<T> items) implements Serializable {}
}

package org.qlora4j.spark;

import java.io.Serializable;
import java.util.ArrayList;
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
        int slots = Math.max(1, spark.defaultParallelism());
        int at = 0;
        while (at < all.size()) {
            List<ArrayList<A>> job = new ArrayList<>();
            int from = at;
            while (from < all.size() && job.size() < JOBS_AHEAD * slots) {
                int to = Math.min(all.size(), from + size);
                job.add(new ArrayList<>(all.subList(from, to)));
                from = to;
            }
            List<ArrayList<B>> results = // in the order of the parts
                    spark.parallelize(job, job.size())
                            .map(part -> new ArrayList<>(work.call(part)))
                            .collect();
            for (List<B> part : results) {
                for (B result : part) {
                    done.accept(at++, result);
                }
            }
        }
    }
}

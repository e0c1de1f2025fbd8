package org.qlora4j.spark;

import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;

/**
 * The one model that an executor's JVM holds. It is loaded by the first task that needs it and
 * stays for those after; a task of another model puts that in its place. Tasks of one JVM take
 * turns, since all of them compute on the same cores: give an executor one task at a time ({@code
 * spark.task.cpus} as {@code spark.executor.cores}).
 */
final class ExecutorModel {
    private static @Nullable SparkModel held;
    private static @Nullable LanguageModel model;

    private ExecutorModel() {}

    static synchronized <T> T with(SparkModel wanted, Function<LanguageModel, T> use) {
        LanguageModel now = model;
        if (now == null || !wanted.equals(held)) {
            if (now != null) {
                model = null;
                now.close();
            }
            now = wanted.load();
            model = now;
            held = wanted;
        }
        return use.apply(now);
    }
}

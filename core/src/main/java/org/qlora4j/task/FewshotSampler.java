package org.qlora4j.task;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.PythonRandom;
import org.qlora4j.error.ConfigException;

/**
 * Chooses the examples before each document, in the order of the documents: as the harness draws
 * them, with one generator for a task.
 */
final class FewshotSampler {
    private final String task;
    private final List<Map<String, Object>> pool;
    private final boolean firstN;
    private final PythonRandom random;

    FewshotSampler(String task, List<Map<String, Object>> pool, boolean firstN, long seed) {
        this.task = task;
        this.pool = pool;
        this.firstN = firstN;
        this.random = new PythonRandom(seed);
    }

    /**
     * The examples for the next document.
     *
     * @param document must not be among them; null where the examples are another split's
     */
    List<Map<String, Object>> next(int count, @Nullable Map<String, Object> document) {
        if (firstN) {
            List<Map<String, Object>> others = document == null ? pool : without(pool, document);
            require(count, others.size());
            return others.subList(0, count);
        }
        require(document == null ? count : count + 1L, pool.size());
        List<Map<String, Object>> sample =
                random.sample(pool, document == null ? count : count + 1);
        if (document == null) {
            return sample;
        }
        List<Map<String, Object>> others = without(sample, document);
        if (others.size() < count) { // the document stands in the pool several times
            List<Map<String, Object>> rest = without(pool, document);
            require(count, rest.size());
            others = random.sample(rest, count);
        }
        return others.subList(0, count);
    }

    private static List<Map<String, Object>> without(
            List<Map<String, Object>> from, Map<String, Object> document) {
        return from.stream().filter(other -> !other.equals(document)).toList();
    }

    private void require(long wanted, int there) {
        if (wanted > there) {
            throw ConfigException.of(
                    "%s: %d few-shot examples are asked for, but there are only %d to choose from; lower num_fewshot",
                    task, wanted, there);
        }
    }
}

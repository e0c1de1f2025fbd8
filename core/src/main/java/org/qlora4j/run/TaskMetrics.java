package org.qlora4j.run;

import java.util.Map;

/**
 * What the tasks of {@code eval.tasks} say of the weights at a step.
 *
 * @param step steps done before it
 * @param epoch passes over the training data before it
 * @param results by task and group, then by name, such as {@code acc,none} and {@code
 *     acc_stderr,none}
 * @param seconds it took
 */
public record TaskMetrics(
        long step, double epoch, Map<String, Map<String, Object>> results, double seconds) {}

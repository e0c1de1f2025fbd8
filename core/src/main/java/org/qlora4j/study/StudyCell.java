package org.qlora4j.study;

import java.util.List;
import java.util.Map;

/**
 * One thing that a study measures.
 *
 * @param name of its file
 * @param group cells that differ in their seed only
 * @param facts what it is, by column
 */
record StudyCell(String name, String group, Map<String, Object> facts) {
    /**
     * What a cell gave.
     *
     * @param bits that a weight takes
     * @param error mean relative error of the linear weights; NaN where nothing was rounded
     * @param layers that error by linear
     * @param texts held-out texts: log-probability and tokens of each
     * @param trainLoss the last loss of its training; NaN without
     */
    record Result(
            double bits,
            double error,
            Map<String, Double> layers,
            List<double[]> texts,
            double trainLoss) {
        double perplexity() {
            double log = texts.stream().mapToDouble(text -> text[0]).sum();
            return Math.exp(-log / texts.stream().mapToDouble(text -> text[1]).sum());
        }
    }
}

package org.qlora4j.judge;

import java.util.List;

/**
 * Takes a judge's liking for a place out of its verdicts (batch calibration, arXiv 2309.17249).
 * Every pair is shown in both orders, so a judge without that liking finds labels 1 and 2 equally
 * likely on average; ties are left as they are.
 *
 * @param shift half of what the judge likes label 1 better than label 2, in nats
 */
record LabelCalibration(double shift) {
    /** The liking for a place in all ratings together. */
    static LabelCalibration of(List<Rating> ratings) {
        double sum = 0;
        for (Rating rating : ratings) {
            List<Double> logs = rating.entry().reply().logProbabilities();
            sum += logs.get(0) - logs.get(1);
        }
        return new LabelCalibration(sum / ratings.size() / 2);
    }

    /** The ratings without it. */
    List<Rating> apply(List<Rating> ratings) {
        return ratings.stream().map(this::apply).toList();
    }

    private Rating apply(Rating rating) {
        List<Double> logs = rating.entry().reply().logProbabilities();
        double one = logs.get(0) - shift;
        double two = logs.get(1) + shift;
        double tie = logs.get(2);
        return rating.withLabel(tie >= one && tie >= two ? "3" : one > two ? "1" : "2");
    }
}

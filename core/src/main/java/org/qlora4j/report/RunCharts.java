package org.qlora4j.report;

import java.util.ArrayList;
import java.util.List;
import org.qlora4j.report.Chart.Point;
import org.qlora4j.report.Chart.Series;
import org.qlora4j.report.Chart.Style;

/** The curves of a run. */
final class RunCharts {
    /** Logged steps from which on the loss is smoothed as well. */
    private static final int SMOOTHED_FROM = 30;

    private RunCharts() {}

    /** Loss of the steps and, where the run evaluates, of the held-out examples. */
    static Chart loss(RunHistory history) {
        List<Point> loss = history.ofSteps("loss");
        List<Series> series = new ArrayList<>();
        if (loss.size() >= SMOOTHED_FROM) {
            series.add(new Series("step", loss, Style.FAINT));
            series.add(new Series("smoothed", smoothed(loss), Style.LINE));
        } else {
            series.add(new Series("training", loss, Style.LINE));
        }
        series.add(new Series("held out", history.ofEvaluations("eval_loss"), Style.MARKED));
        return new Chart("Loss", "nats per token", series);
    }

    static Chart learningRate(RunHistory history) {
        return ofSteps(history, "Learning rate", "", "learning_rate");
    }

    static Chart gradientNorm(RunHistory history) {
        return ofSteps(history, "Gradient norm before it was limited", "", "grad_norm");
    }

    static Chart speed(RunHistory history) {
        return ofSteps(history, "Speed", "tokens per second", "tokens_per_second");
    }

    private static Chart ofSteps(RunHistory history, String title, String unit, String key) {
        return new Chart(title, unit, List.of(new Series("", history.ofSteps(key), Style.LINE)));
    }

    /**
     * A mean over about a thirtieth of the points, the latest weighing most; corrected for its
     * start, as Adam's means are, so that the first points count no more than others.
     */
    static List<Point> smoothed(List<Point> points) {
        double keep = 1 - 30.0 / Math.max(60, points.size());
        List<Point> out = new ArrayList<>();
        double mean = 0;
        double weight = 0;
        for (Point point : points) {
            if (Double.isFinite(point.value())) {
                mean = keep * mean + (1 - keep) * point.value();
                weight = keep * weight + (1 - keep);
            }
            out.add(new Point(point.step(), weight == 0 ? Double.NaN : mean / weight));
        }
        return out;
    }
}

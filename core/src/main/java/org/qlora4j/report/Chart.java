package org.qlora4j.report;

import java.util.List;

/**
 * Curves over the steps of a run.
 *
 * @param title what they show
 * @param unit of the values, or empty
 * @param series the curves; those without points are left out
 */
record Chart(String title, String unit, List<Series> series) {
    Chart {
        series = series.stream().filter(s -> !s.points().isEmpty()).toList();
    }

    /**
     * A curve.
     *
     * @param points by rising step
     * @param style how it is drawn
     */
    record Series(String name, List<Point> points, Style style) {}

    /** A value after so many steps. */
    record Point(long step, double value) {}

    /** How a curve is drawn. */
    enum Style {
        /** The main line. */
        LINE,
        /** Behind a smoothed line: thin and pale. */
        FAINT,
        /** Few points, each marked. */
        MARKED
    }

    boolean isEmpty() {
        return series.isEmpty();
    }

    /** Whether it says something: a value that never changes needs no picture. */
    boolean isWorthSeeing() {
        return max() > min();
    }

    /** Points whose value is a finite number: others have no place on an axis. */
    private List<Point> finite() {
        return series.stream()
                .flatMap(s -> s.points().stream())
                .filter(p -> Double.isFinite(p.value()))
                .toList();
    }

    double min() {
        return finite().stream().mapToDouble(Point::value).min().orElse(0);
    }

    double max() {
        return finite().stream().mapToDouble(Point::value).max().orElse(1);
    }

    long firstStep() {
        return finite().stream().mapToLong(Point::step).min().orElse(0);
    }

    long lastStep() {
        return finite().stream().mapToLong(Point::step).max().orElse(1);
    }
}

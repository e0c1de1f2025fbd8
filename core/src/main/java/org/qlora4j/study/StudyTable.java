package org.qlora4j.study;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.qlora4j.eval.Interval;
import org.qlora4j.study.StudyCell.Result;
import org.qlora4j.task.PairedDifference;

/**
 * What a study found, a row for each thing compared; cells that differ in their seed only are one
 * row.
 *
 * <p>A change is compared with the first row's: with one cell to a row over its texts (the same
 * texts drawn for both, 10,000 times), with several over seeds (Student's t of the differences of
 * equal seeds).
 */
public final class StudyTable {
    /** Student's t that 95% lie within, by degrees of freedom from 1. */
    private static final double[] T95 = {
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042
    };

    private final List<Row> rows = new ArrayList<>();

    /**
     * A row.
     *
     * @param seeds cells that it is the mean of
     * @param bits that a weight takes
     * @param error mean relative error of the linear weights; NaN where nothing was rounded
     * @param perplexity geometric mean over seeds
     * @param change of the mean nats a token against the first row; 0 for itself
     * @param interval of the change, 95%; not a number where one seed cannot give it
     */
    public record Row(
            String name,
            int seeds,
            double bits,
            double error,
            double perplexity,
            double change,
            Interval interval) {
        /** Whether the interval leaves no change possible. */
        public boolean isOpen() {
            return !(interval.low() > 0 || interval.high() < 0);
        }
    }

    StudyTable(Map<StudyCell, Result> results) {
        Map<String, List<Result>> groups = new LinkedHashMap<>();
        results.forEach((cell, result) ->
                groups.computeIfAbsent(cell.group(), name -> new ArrayList<>()).add(result));
        List<Result> first = groups.values().iterator().next();
        groups.forEach((name, own) -> rows.add(row(name, own, first)));
    }

    /** The first is what others are compared with. */
    public List<Row> rows() {
        return List.copyOf(rows);
    }

    private static Row row(String name, List<Result> own, List<Result> first) {
        double nats = own.stream().mapToDouble(r -> Math.log(r.perplexity())).average().orElse(0);
        double base = first.stream().mapToDouble(r -> Math.log(r.perplexity())).average().orElse(0);
        Interval interval =
                own == first
                        ? new Interval(0, 0)
                        : own.size() == 1 ? overTexts(own, first) : overSeeds(own, first);
        return new Row(
                name,
                own.size(),
                own.getFirst().bits(),
                own.getFirst().error(),
                Math.exp(nats),
                nats - base,
                interval);
    }

    private static Interval overTexts(List<Result> own, List<Result> first) {
        PairedDifference difference =
                PairedDifference.ofNats(first.getFirst().texts(), own.getFirst().texts());
        return new Interval(difference.low(), difference.high());
    }

    private static Interval overSeeds(List<Result> own, List<Result> first) {
        int count = Math.min(own.size(), first.size());
        double[] changes = new double[count];
        double mean = 0;
        for (int i = 0; i < count; i++) {
            changes[i] = Math.log(own.get(i).perplexity() / first.get(i).perplexity());
            mean += changes[i] / count;
        }
        double squares = 0;
        for (double change : changes) {
            squares += (change - mean) * (change - mean);
        }
        double t = T95[Math.min(count - 1, T95.length) - 1];
        double half = t * Math.sqrt(squares / (count - 1) / count);
        return new Interval(mean - half, mean + half);
    }

    /** Lines of Markdown. */
    public String markdown() {
        StringBuilder out = new StringBuilder();
        out.append(
                "| | bits a weight | weight error | perplexity | change, nats a token | 95% |\n");
        out.append("|---|---|---|---|---|---|\n");
        for (Row row : rows) {
            boolean base = row == rows.getFirst();
            out.append(
                    String.format(
                            Locale.ROOT,
                            "| %s | %.3f | %s | %.3f | %s | %s |%n",
                            row.name() + (row.seeds() > 1 ? " (" + row.seeds() + " seeds)" : ""),
                            row.bits(),
                            Double.isNaN(row.error())
                                    ? ""
                                    : String.format(Locale.ROOT, "%.4f", row.error()),
                            row.perplexity(),
                            base ? "" : String.format(Locale.ROOT, "%+.4f", row.change()),
                            base ? "" : interval(row)));
        }
        return out.toString();
    }

    private static String interval(Row row) {
        return Double.isNaN(row.interval().low())
                ? "one seed alone"
                : String.format(
                        Locale.ROOT,
                        "%+.4f to %+.4f%s",
                        row.interval().low(),
                        row.interval().high(),
                        row.isOpen() ? ", too close to tell" : "");
    }

    /** The object that {@code --json} prints, by row. */
    public Map<String, Object> json() {
        Map<String, Object> json = new LinkedHashMap<>();
        for (Row row : rows) {
            Map<String, Object> own = new LinkedHashMap<>();
            own.put("seeds", row.seeds());
            own.put("bits", row.bits());
            if (!Double.isNaN(row.error())) {
                own.put("error", row.error());
            }
            own.put("perplexity", row.perplexity());
            own.put("change", row.change());
            own.put("ci_low", row.interval().low());
            own.put("ci_high", row.interval().high());
            json.put(row.name(), own);
        }
        return json;
    }
}

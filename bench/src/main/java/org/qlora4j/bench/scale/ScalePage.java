package org.qlora4j.bench.scale;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.qlora4j.bench.scale.Cluster.Sums;

/** The tables of docs/scale.md that are computed. */
final class ScalePage {
    private static final List<String> MODELS = List.of("7B", "33B", "65B");
    private static final List<Integer> SIZES = List.of(1, 8, 16, 32, 64, 128, 256, 512);
    private static final int LARGEST = SIZES.getLast();
    private static final Link ETHERNET = new Link("10 Gb/s", Measured.LOOPBACK.seconds(), 1.25e9);

    private static final List<Cluster> CLUSTERS =
            List.of(
                    cluster(Measured.AVX2, new Link("1 Gb/s", ETHERNET.seconds(), 0.125e9)),
                    cluster(Measured.AVX512, ETHERNET),
                    cluster(Measured.H100, ETHERNET),
                    cluster(Measured.H100, new Link("400 Gb/s", 10e-6, 50e9)));

    private ScalePage() {}

    public static void main(String[] arguments) {
        System.out.print(text());
    }

    /** All tables, in Markdown. */
    static String text() {
        return String.join("\n", points(), bytes(), steps(), stages());
    }

    private static Cluster cluster(Processor processor, Link link) {
        return new Cluster(processor, link, Measured.JITTER, Measured.DISK);
    }

    /** The paper's rank on rows of its length, four to a process, one after the other. */
    private static Job job(String model) {
        return new Job(
                Measured.named("llama-" + model.toLowerCase(Locale.ROOT)), 64, 1, 512, 4, true);
    }

    private static String points() {
        StringBuilder out =
                new StringBuilder("| measured | tokens/s | simulated | |\n|---|---|---|---|\n");
        for (Measured.Point point : Measured.points()) {
            String error = point.given() ? "given" : "%+.0f%%".formatted(100 * point.error());
            out.append(
                    line(
                            point.what(),
                            figures(point.measured()),
                            figures(point.simulated()),
                            error));
        }
        return out.toString();
    }

    private static String bytes() {
        StringBuilder out =
                new StringBuilder(
                        "| model | weights that learn, millions | MB sent by a process in a step, N = 2, 8, 512 |"
                                + " MB of a checkpoint |\n|---|---|---|---|\n");
        for (String model : MODELS) {
            Job job = job(model);
            String sent =
                    List.of(2, 8, LARGEST).stream()
                            .map(n -> figures(2.0 * (n - 1) / n * job.gradientBytes() / 1e6))
                            .collect(Collectors.joining(", "));
            out.append(
                    line(
                            model,
                            figures(job.learnt() / 1e6),
                            sent,
                            figures(job.checkpointBytes() / 1e6)));
        }
        return out.toString();
    }

    private static String steps() {
        StringBuilder out = new StringBuilder("| model, process, link |");
        SIZES.forEach(n -> out.append(" %d |".formatted(n)));
        out.append(" %d, sums during | %d, one sum |\n|---|".formatted(LARGEST, LARGEST));
        out.append("---|".repeat(SIZES.size() + 2)).append('\n');
        for (String model : MODELS) {
            Job job = job(model);
            for (Cluster cluster : CLUSTERS) {
                out.append(row(model, cluster));
                SIZES.forEach(n -> out.append(cell(cluster.play(job, n, Sums.AFTER))));
                out.append(cell(cluster.play(job, LARGEST, Sums.DURING)));
                out.append(cell(cluster.play(job, LARGEST, Sums.WHOLE))).append('\n');
            }
        }
        return out.toString();
    }

    private static String cell(Cluster.Step step) {
        return " %s s, %.0f%% |".formatted(figures(step.seconds()), 100 * step.efficiency());
    }

    private static String row(String model, Cluster cluster) {
        String link = cluster.link().name();
        return "| %s, %s, %s |".formatted(model, cluster.processor().name(), link);
    }

    private static String stages() {
        StringBuilder out =
                new StringBuilder(
                        "| stages | micro-batches | idle by the formula | step | idle | MB sent by a stage |\n"
                                + "|---|---|---|---|---|---|\n");
        Cluster cluster = CLUSTERS.getFirst();
        for (int stages : List.of(2, 4, 8)) {
            for (int microBatches : List.of(4, 16, 64)) {
                Job one = job("65B").withMicroBatches(1);
                double own = cluster.processor().seconds(one) / stages;
                double backward = own * one.backwardShare();
                long activations = Float.BYTES * one.time() * (long) one.shape().hiddenSize();
                double transfer = cluster.link().send(activations);
                double seconds =
                        new Stages(stages, own - backward, backward, transfer).play(microBatches);
                out.append(
                        line(
                                "" + stages,
                                "" + microBatches,
                                "%.0f%%".formatted(100 * Stages.bubble(stages, microBatches)),
                                figures(seconds) + " s",
                                "%.0f%%".formatted(100 * (1 - microBatches * own / seconds)),
                                figures(2 * microBatches * activations / 1e6)));
            }
        }
        return out.toString();
    }

    private static String line(String... cells) {
        return "| " + String.join(" | ", cells) + " |\n";
    }

    /** Three figures, none lost in front of the point. */
    private static String figures(double value) {
        int behind = Math.max(0, 2 - (int) Math.floor(Math.log10(value)));
        return String.format(Locale.ROOT, "%,." + behind + "f", value);
    }
}

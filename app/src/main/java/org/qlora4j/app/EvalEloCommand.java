package org.qlora4j.app;

import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.eval.Elo;
import org.qlora4j.eval.EloProcedure;
import org.qlora4j.eval.Ratings;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** {@code qlora eval elo --ratings DIR}: Elo ratings of the systems that were judged. */
@Command(
        name = "elo",
        description = "Elo ratings from judgments, by the paper's procedures.",
        footer = {
            "",
            "history: one judgment of each pair and question in random order; a system's value is the mean of its ratings"
                    + " after each of its matches (the paper's Table 1).",
            "final: all judgments in random order, the ratings at the end (its Table 7).",
            "single-pass: once, in the order of the files."
        })
final class EvalEloCommand implements Callable<Integer> {
    @Mixin RatingsOptions ratings = new RatingsOptions();

    @Option(
            names = "--procedure",
            paramLabel = "history|final|single-pass",
            description = "How matches become ratings (${DEFAULT-VALUE}).")
    String procedure = EloProcedure.HISTORY.key();

    @Option(
            names = "--orders",
            paramLabel = "N",
            description = "Random orders to average over (${DEFAULT-VALUE}).")
    int orders = Elo.ORDERS;

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "Of the orders: the same seed, the same ratings (${DEFAULT-VALUE}).")
    long seed = 42;

    @Option(names = "--json", description = "Print one JSON object, by system.")
    boolean json;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        CommandLine line = Objects.requireNonNull(spec, "picocli sets it").commandLine();
        EloProcedure chosen = EloProcedure.of(procedure);
        Ratings read = ratings.read(line.getErr());
        Map<String, Elo> elo = Elo.of(read.judgments(), chosen, orders, seed);
        if (json) {
            line.getOut().println(new JsonMapper().writeValueAsString(asJson(elo)));
        } else {
            print(line.getOut(), read, chosen, elo);
        }
        return ExitCode.OK;
    }

    private static Map<String, Map<String, Object>> asJson(Map<String, Elo> elo) {
        Map<String, Map<String, Object>> out = new LinkedHashMap<>();
        elo.forEach((name, e) -> {
            Map<String, Object> of = new LinkedHashMap<>();
            of.put("elo", e.rating());
            of.put("ci", e.halfWidth());
            of.put("sd", e.deviation());
            of.put("matches", e.matches());
            out.put(name, of);
        });
        return out;
    }

    private void print(PrintWriter out, Ratings read, EloProcedure chosen, Map<String, Elo> elo) {
        boolean random = chosen != EloProcedure.SINGLE_PASS;
        out.printf(
                "Elo, procedure %s: %d judgments of %d systems%s%n",
                chosen.key(),
                read.judgments().size(),
                elo.size(),
                random ? ", %d orders, seed %d".formatted(orders, seed) : "");
        out.printf("  %-32s%9s%9s%12s%9s%n", "system", "Elo", "+-", "one order", "matches");
        elo.forEach((name, e) ->
                out.printf(
                        Locale.ROOT,
                        "  %-32s%9.1f%9s%12s%9d%n",
                        name,
                        e.rating(),
                        random ? String.format(Locale.ROOT, "%.2f", e.halfWidth()) : "-",
                        random ? String.format(Locale.ROOT, "sd %.1f", e.deviation()) : "-",
                        e.matches()));
        if (random) {
            out.println(
                    "+- is the 95% interval of the mean over orders, not of the judgments: qlora eval report has that too");
        }
    }
}

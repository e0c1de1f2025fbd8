package org.qlora4j.app;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.eval.Ratings;
import org.qlora4j.eval.RelativeScore;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** {@code qlora eval relative --ratings DIR}: scores as a share of a reference system's. */
@Command(
        name = "relative",
        description =
                "Scores of each system in percent of a reference system's, in both orders of showing (the paper's Table 6).")
final class EvalRelativeCommand implements Callable<Integer> {
    @Mixin RatingsOptions ratings = new RatingsOptions();

    @Option(names = "--json", description = "Print one JSON object, by system.")
    boolean json;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        CommandLine line = Objects.requireNonNull(spec, "picocli sets it").commandLine();
        Ratings read = ratings.read(line.getErr());
        if (read.scores().isEmpty()) {
            throw ConfigException.of(
                    "--ratings: these files hold verdicts, not pairs of scores; use qlora eval elo");
        }
        Map<String, RelativeScore> scores = RelativeScore.bySystem(read.scores());
        if (json) {
            line.getOut().println(new JsonMapper().writeValueAsString(asJson(scores)));
            return ExitCode.OK;
        }
        line.getOut().printf("scores in %% of those of %s%n", read.reference());
        line.getOut()
                .printf(
                        "  %-32s%16s%14s%9s%8s%11s%n",
                        "system", "reference first", "system first", "mean", "+-", "questions");
        scores.forEach((name, s) ->
                line.getOut()
                        .printf(
                                Locale.ROOT,
                                "  %-32s%16.1f%14.1f%9.1f%8.1f%11d%n",
                                name,
                                s.referenceFirst(),
                                s.systemFirst(),
                                s.mean(),
                                s.halfWidth(),
                                s.questions()));
        return ExitCode.OK;
    }

    private static Map<String, Map<String, Object>> asJson(Map<String, RelativeScore> scores) {
        Map<String, Map<String, Object>> out = new LinkedHashMap<>();
        scores.forEach((name, s) -> {
            Map<String, Object> of = new LinkedHashMap<>();
            of.put("reference_first", s.referenceFirst());
            of.put("system_first", s.systemFirst());
            of.put("mean", s.mean());
            of.put("ci", s.halfWidth());
            of.put("questions", s.questions());
            out.put(name, of);
        });
        return out;
    }
}

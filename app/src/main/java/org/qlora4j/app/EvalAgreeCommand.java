package org.qlora4j.app;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.eval.Agreement;
import org.qlora4j.eval.Judgment;
import org.qlora4j.eval.Ratings;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** {@code qlora eval agree DIR DIR ...}: how far judges agree, each with a folder of ratings. */
@Command(
        name = "agree",
        description =
                "Say how far raters agree: a folder of ratings each, over the comparisons that all of them judged.")
final class EvalAgreeCommand implements Callable<Integer> {
    @Parameters(
            arity = "1..*",
            paramLabel = "DIR",
            description = "A folder of ratings for each judge; two or more.")
    List<Path> folders = new ArrayList<>();

    @Option(names = "--json", description = "Print one JSON object.")
    boolean json;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        if (folders.size() < 2) {
            throw ConfigException.of("one folder has nobody to agree with; name two or more");
        }
        List<List<Judgment>> raters =
                folders.stream().map(f -> Ratings.read(List.of(f), null).judgments()).toList();
        Agreement agreement = Agreement.of(raters);
        if (agreement.comparisons() == 0) {
            throw ConfigException.of(
                    "no question and pair of systems was judged by all %d raters; compare their file names and question ids",
                    raters.size());
        }
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("comparisons", agreement.comparisons());
        values.put("fleiss_kappa", agreement.fleissKappa());
        values.put("pairwise_agreement", agreement.pairwise());
        values.put("kendall_tau", agreement.kendall());
        values.put("spearman_rho", agreement.spearman());
        var out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        if (json) {
            out.println(new JsonMapper().writeValueAsString(values));
        } else {
            out.printf(
                    Locale.ROOT,
                    "%d raters, %d comparisons judged by all: equal verdicts %.3f, Fleiss kappa %.3f%n",
                    raters.size(),
                    agreement.comparisons(),
                    agreement.pairwise(),
                    agreement.fleissKappa());
            out.printf(
                    Locale.ROOT,
                    "their rankings of systems: Kendall tau %.3f, Spearman rho %.3f%n",
                    agreement.kendall(),
                    agreement.spearman());
        }
        return ExitCode.OK;
    }
}

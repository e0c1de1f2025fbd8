package org.qlora4j.plan;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Inspection;
import org.qlora4j.data.InspectionPage;
import org.qlora4j.error.ConfigException;
import org.qlora4j.model.Task;
import org.qlora4j.tokenize.Tokenizer;

/** The data of a run as the run would see it, before any weight is loaded. */
public final class DataInspector {
    private DataInspector() {}

    /**
     * What was found.
     *
     * @param inspection facts and findings
     * @param html the page with the examples
     */
    public record Result(Inspection inspection, String html) {
        /** A line for each fact and finding. */
        public List<String> lines() {
            List<String> lines = new java.util.ArrayList<>();
            inspection
                    .facts()
                    .forEach((name, value) -> lines.add("%-11s %s".formatted(name, value)));
            for (Inspection.Finding finding : inspection.findings()) {
                lines.add((finding.refused() ? "refused: " : "warning: ") + finding.text());
            }
            return List.copyOf(lines);
        }
    }

    /**
     * Reads all of the data.
     *
     * @param first how many of the first examples the page shows
     */
    public static Result inspect(RunConfig config, int first) {
        try (RunInputs inputs = RunInputs.read(config)) {
            if (inputs.shape().architecture().task() instanceof Task.Classify) {
                throw new ConfigException(
                        "data inspect shows texts that are learnt, and of classes there are none; qlora train --dry-run shows a text with"
                                + " its class");
            }
            Tokenizer tokenizer = inputs.tokenizer();
            Set<Integer> stops = new HashSet<>(inputs.shape().eosIds());
            if (stops.isEmpty()) {
                tokenizer.eosId().ifPresent(stops::add);
            }
            Inspection inspection =
                    Inspection.of(inputs.data().set(), config.data(), tokenizer, stops, first);
            return new Result(inspection, InspectionPage.html(inspection, tokenizer));
        }
    }
}

package org.qlora4j.report;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.BadData;
import org.qlora4j.data.Inspection;
import org.qlora4j.error.ConfigException;
import org.qlora4j.model.Task;
import org.qlora4j.plan.RunInputs;
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
     * Reads all of the data, beyond records that have a fault.
     *
     * @param from the first example that the page holds in the order of the data, at least 1
     * @param most how many it holds from there on, at least 0; fewer where they are long
     */
    public static Result inspect(RunConfig config, int from, int most) {
        RunConfig lenient = config.toBuilder().data(data -> data.onBadData(BadData.SKIP)).build();
        try (RunInputs inputs = RunInputs.read(lenient)) {
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
                    Inspection.of(
                            inputs.data().train(), config.data(), tokenizer, stops, from, most);
            return new Result(inspection, InspectionPage.html(inspection, tokenizer));
        }
    }
}

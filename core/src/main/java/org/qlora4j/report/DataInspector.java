package org.qlora4j.report;

import java.util.List;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Inspection;
import org.qlora4j.plan.RunPreview;

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
        return RunPreview.inspect(
                config,
                from,
                most,
                (inputs, inspection) ->
                        new Result(
                                inspection, InspectionPage.html(inspection, inputs.tokenizer())));
    }
}

package org.qlora4j.data;

import java.util.ArrayList;
import java.util.List;
import org.qlora4j.error.FormatException;

/**
 * What stands between a data set and a run: signs that the run could hardly teach what its owner
 * wants. That nothing at all would be learnt is refused before, by {@link TrainingSet#load}.
 */
public final class DataGate {
    private DataGate() {}

    /** The signs found, a line each; none is the usual answer. */
    public static List<String> findings(DataStats stats, DataConfig config) {
        List<String> findings = new ArrayList<>();
        if (stats.endsCut() == stats.examples()) {
            findings.add(
                    "every answer is cut, so no example ends and the model would not learn to stop; raise data.target_max_len (now"
                            + " %d) or data.source_max_len (now %d), or set data.truncation"
                                    .formatted(config.targetMaxLen(), config.sourceMaxLen()));
        } else if (stats.truncated() == stats.examples() && stats.examples() > 1) {
            findings.add(
                    "every example is cut; raise data.source_max_len (now %d) or data.target_max_len (now %d)"
                            .formatted(config.sourceMaxLen(), config.targetMaxLen()));
        }
        if (stats.dropped() > stats.examples()) {
            findings.add(
                    "%d of %d examples are left out, the first at %s; see qlora data inspect for why"
                            .formatted(
                                    stats.dropped(),
                                    stats.dropped() + stats.examples(),
                                    stats.droppedAt()));
        }
        return List.copyOf(findings);
    }

    /**
     * Lets data pass or not, as {@code data.on_bad_data} says.
     *
     * @throws FormatException with the findings, if they are not to be passed over
     */
    public static void pass(DataStats stats, DataConfig config) {
        List<String> findings = findings(stats, config);
        if (!findings.isEmpty() && config.onBadData() != BadData.WARN) {
            throw FormatException.of(
                    "%s: %s. To train all the same: data.on_bad_data=warn",
                    config.dataset(), String.join("; ", findings));
        }
    }
}

package org.qlora4j.app;

import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.BeamConfig;
import org.qlora4j.generate.GenerationConfig;
import picocli.CommandLine.Option;

/** A search with beams, as options of {@code qlora generate}. */
final class BeamOptions {
    @Option(
            names = "--num-beams",
            paramLabel = "N",
            description =
                    "Search the likeliest answer with N texts side by side (1, or as the model's generation_config.json says).")
    @Nullable Integer numBeams;

    @Option(
            names = "--length-penalty",
            paramLabel = "X",
            description = "Power of the length that log-probabilities of beams are divided by (1).")
    @Nullable Double lengthPenalty;

    @Option(
            names = "--early-stopping",
            paramLabel = "RULE",
            description =
                    "End the search at N whole answers (true), when none can come soon (false), or ever (never) beat them (false).")
    @Nullable String earlyStopping;

    /**
     * Refuses what cannot be, before a model is loaded.
     *
     * @param greedy whether --greedy is given
     * @throws ConfigException if options exclude each other, or a value is out of range
     */
    void check(GenerationConfig config, boolean greedy) {
        BeamConfig asked = over(BeamConfig.of(1));
        if (asked.numBeams() > 1) {
            if (greedy) {
                throw ConfigException.of(
                        "--greedy follows one text, --num-beams %d several; use one of them",
                        asked.numBeams());
            }
            BeamConfig.requireLimitsAlone(config);
        }
        if (Integer.valueOf(1).equals(numBeams)
                && (lengthPenalty != null || earlyStopping != null)) {
            throw new ConfigException(
                    "--length-penalty and --early-stopping matter only to a search; use --num-beams 2 or more");
        }
    }

    /**
     * What the options and the checkpoint say together; the options win.
     *
     * @param greedy whether --greedy is given, which follows one text whatever the checkpoint says
     * @throws ConfigException if options need beams, and nobody asks for any
     */
    BeamConfig config(BeamConfig ofCheckpoint, GenerationConfig config, boolean greedy) {
        boolean refused = greedy || !BeamConfig.areLimitsAlone(config);
        BeamConfig all = over(refused ? BeamConfig.of(1) : ofCheckpoint);
        if (all.numBeams() == 1 && (lengthPenalty != null || earlyStopping != null)) {
            throw new ConfigException(
                    "--length-penalty and --early-stopping matter only to a search; add --num-beams");
        }
        return all;
    }

    /** What the options say, for comparison. */
    @Override
    public String toString() {
        return "beams %s %s %s".formatted(numBeams, lengthPenalty, earlyStopping);
    }

    private BeamConfig over(BeamConfig under) {
        return new BeamConfig(
                numBeams == null ? under.numBeams() : numBeams,
                lengthPenalty == null ? under.lengthPenalty() : lengthPenalty,
                earlyStopping == null
                        ? under.earlyStopping()
                        : BeamConfig.earlyStopping(earlyStopping));
    }
}

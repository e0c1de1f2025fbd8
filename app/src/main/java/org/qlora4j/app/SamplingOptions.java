package org.qlora4j.app;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.GenerationConfig;
import picocli.CommandLine.Option;

/** How tokens are chosen, as options of commands that generate. */
final class SamplingOptions {
    private static final GenerationConfig DEFAULT = GenerationConfig.DEFAULT;

    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            description = "Most tokens to generate (256).")
    @Nullable Integer maxNewTokens;

    @Option(names = "--greedy", description = "Take the likeliest token each time; the default.")
    boolean greedy;

    @Option(
            names = "--temperature",
            paramLabel = "T",
            description = "Draw tokens, from logits divided by T (1).")
    @Nullable Double temperature;

    @Option(
            names = "--top-k",
            paramLabel = "K",
            description = "Draw tokens, from the K likeliest (all).")
    @Nullable Integer topK;

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description = "Draw tokens, from the smallest set that has probability P together (1).")
    @Nullable Double topP;

    @Option(
            names = "--min-p",
            paramLabel = "P",
            description =
                    "Draw tokens, from those at least P times as likely as the likeliest (0).")
    @Nullable Double minP;

    @Option(
            names = "--typical-p",
            paramLabel = "P",
            description = "Draw tokens, from those of ordinary surprise up to probability P (1).")
    @Nullable Double typicalP;

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "Repeats a drawn answer; another number gives another (0).")
    @Nullable Long seed;

    @Option(
            names = "--repetition-penalty",
            paramLabel = "X",
            description = "Divides logits of tokens that prompt or answer hold (1).")
    double repetitionPenalty = DEFAULT.repetitionPenalty();

    @Option(
            names = "--presence-penalty",
            paramLabel = "X",
            description = "Taken off the logits of tokens that the answer holds (0).")
    double presencePenalty = DEFAULT.presencePenalty();

    @Option(
            names = "--frequency-penalty",
            paramLabel = "X",
            description = "The same for each time that the answer holds them (0).")
    double frequencyPenalty = DEFAULT.frequencyPenalty();

    @Option(
            names = "--no-repeat-ngram-size",
            paramLabel = "N",
            description = "Let no N tokens follow each other twice (no rule).")
    int noRepeatNgramSize = DEFAULT.noRepeatNgramSize();

    @Option(
            names = "--stop",
            paramLabel = "TEXT",
            description = "End the answer before this text; may be given again.")
    List<String> stops = new ArrayList<>();

    /**
     * What the options say together.
     *
     * @throws ConfigException if two exclude each other, or a value is out of range
     */
    GenerationConfig config() {
        String drawing =
                temperature != null
                        ? "--temperature"
                        : topP != null
                                ? "--top-p"
                                : topK != null
                                        ? "--top-k"
                                        : minP != null
                                                ? "--min-p"
                                                : typicalP != null ? "--typical-p" : null;
        if (greedy && drawing != null) {
            throw ConfigException.of(
                    "--greedy takes the likeliest token each time, %s draws; use one of them",
                    drawing);
        }
        if (seed != null && drawing == null) {
            throw new ConfigException(
                    "--seed matters only where tokens are drawn; add --temperature or --top-p");
        }
        return GenerationConfig.builder()
                .maxNewTokens(maxNewTokens == null ? DEFAULT.maxNewTokens() : maxNewTokens)
                .doSample(drawing != null)
                .temperature(temperature == null ? DEFAULT.temperature() : temperature)
                .topK(topK == null ? DEFAULT.topK() : topK)
                .topP(topP == null ? DEFAULT.topP() : topP)
                .minP(minP == null ? DEFAULT.minP() : minP)
                .typicalP(typicalP == null ? DEFAULT.typicalP() : typicalP)
                .seed(seed == null ? DEFAULT.seed() : seed)
                .repetitionPenalty(repetitionPenalty)
                .presencePenalty(presencePenalty)
                .frequencyPenalty(frequencyPenalty)
                .noRepeatNgramSize(noRepeatNgramSize)
                .stopStrings(stops)
                .build();
    }
}

package org.qlora4j.app.chat;

import java.util.List;
import java.util.Locale;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.Nearest;
import org.qlora4j.generate.GenerationConfig;

/** Settings of generation as words, {@code temperature 0.7}, with transformers' names. */
final class GenerationWords {
    /** Settings that may be given. */
    static final List<String> KEYS =
            List.of(
                    "max_new_tokens",
                    "do_sample",
                    "temperature",
                    "top_k",
                    "top_p",
                    "min_p",
                    "typical_p",
                    "repetition_penalty",
                    "presence_penalty",
                    "frequency_penalty",
                    "no_repeat_ngram_size",
                    "stop",
                    "seed");

    private GenerationWords() {}

    /** The settings, one a line. */
    static String show(GenerationConfig config) {
        StringBuilder out = new StringBuilder();
        for (String key : KEYS) {
            out.append(String.format(Locale.ROOT, "%-20s %s%n", key, value(config, key)));
        }
        return out.toString();
    }

    private static Object value(GenerationConfig config, String key) {
        return switch (key) {
            case "max_new_tokens" -> config.maxNewTokens();
            case "do_sample" -> config.doSample();
            case "temperature" -> config.temperature();
            case "top_k" -> config.topK();
            case "top_p" -> config.topP();
            case "min_p" -> config.minP();
            case "typical_p" -> config.typicalP();
            case "repetition_penalty" -> config.repetitionPenalty();
            case "presence_penalty" -> config.presencePenalty();
            case "frequency_penalty" -> config.frequencyPenalty();
            case "no_repeat_ngram_size" -> config.noRepeatNgramSize();
            case "stop" -> String.join(" ", config.stopStrings());
            default -> config.seed();
        };
    }

    /**
     * Settings with one changed. One that matters only where tokens are drawn turns drawing on, and
     * a temperature of 0 turns it off.
     *
     * @throws ConfigException if there is none of that name, or it cannot have the value
     */
    static GenerationConfig with(GenerationConfig config, String key, String value) {
        try {
            return changed(config.toBuilder(), key, value).build();
        } catch (NumberFormatException e) {
            throw ConfigException.of("%s must be a number, got '%s'", key, value);
        }
    }

    private static GenerationConfig.Builder changed(
            GenerationConfig.Builder config, String key, String value) {
        return switch (key) {
            case "max_new_tokens" -> config.maxNewTokens(Integer.parseInt(value));
            case "do_sample" -> config.doSample(flag(value));
            case "temperature" -> {
                double temperature = Double.parseDouble(value);
                yield temperature == 0
                        ? config.doSample(false)
                        : config.doSample(true).temperature(temperature);
            }
            case "top_k" -> config.doSample(true).topK(Integer.parseInt(value));
            case "top_p" -> config.doSample(true).topP(Double.parseDouble(value));
            case "min_p" -> config.doSample(true).minP(Double.parseDouble(value));
            case "typical_p" -> config.doSample(true).typicalP(Double.parseDouble(value));
            case "repetition_penalty" -> config.repetitionPenalty(Double.parseDouble(value));
            case "presence_penalty" -> config.presencePenalty(Double.parseDouble(value));
            case "frequency_penalty" -> config.frequencyPenalty(Double.parseDouble(value));
            case "no_repeat_ngram_size" -> config.noRepeatNgramSize(Integer.parseInt(value));
            case "stop" -> config.stopStrings(value.isEmpty() ? List.of() : List.of(value));
            case "seed" -> config.seed(Long.parseLong(value));
            default -> throw unknown(key);
        };
    }

    private static ConfigException unknown(String key) {
        String nearest = Nearest.of(key, KEYS);
        return ConfigException.of(
                "there is no setting %s; %s",
                key,
                nearest == null
                        ? "/set shows those there are"
                        : "did you mean %s?".formatted(nearest));
    }

    private static boolean flag(String value) {
        if (!value.equals("true") && !value.equals("false")) {
            throw ConfigException.of("do_sample must be true or false, got '%s'", value);
        }
        return value.equals("true");
    }
}

package org.qlora4j.spark;

import java.io.Serializable;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.qlora4j.LanguageModel;
import org.qlora4j.error.FormatException;
import org.qlora4j.eval.Perplexity;
import org.qlora4j.task.TextLikelihood;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * How well a model predicts the texts of a cluster: every token once, as {@link
 * LanguageModel#logLikelihoods} does. Sums are exact and rounded once at the end, so that neither
 * partitions nor their order weigh.
 */
public final class PerplexityJob {
    private static final JsonMapper JSON = new JsonMapper();

    private PerplexityJob() {}

    /**
     * Sums of a partition.
     *
     * @param nats exact sum of -log p of the texts
     */
    private record Sums(long texts, long tokens, long bytes, BigDecimal nats)
            implements Serializable {
        private static final Sums NONE = new Sums(0, 0, 0, BigDecimal.ZERO);

        Sums plus(Sums other) {
            return new Sums(
                    texts + other.texts,
                    tokens + other.tokens,
                    bytes + other.bytes,
                    nats.add(other.nats));
        }

        static Sums of(String text, TextLikelihood said) {
            long bytes = text.getBytes(StandardCharsets.UTF_8).length;
            return new Sums(1, said.tokens(), bytes, new BigDecimal(-said.logLikelihood()));
        }
    }

    /**
     * Measures. {@link SparkModel#batch} texts of a partition are computed together; alone, with a
     * batch of 1, each has the same bits in whatever partition it lies, on executors of one
     * instruction set and number of threads; else to rounding.
     *
     * @param texts of a DataFrame: {@code df.select("text").as(Encoders.STRING()).toJavaRDD()}
     * @param tokensAtOnce as in {@link LanguageModel#evaluate}
     */
    public static Perplexity.Result run(JavaRDD<String> texts, SparkModel model, int tokensAtOnce) {
        Sums all =
                texts
                        .mapPartitions(part -> List.of(sums(part, model, tokensAtOnce)).iterator())
                        .collect()
                        .stream()
                        .reduce(Sums.NONE, Sums::plus);
        if (all.tokens == 0) {
            throw new FormatException("there is no text, so nothing to predict");
        }
        return new Perplexity.Result(
                Math.toIntExact(all.texts), all.tokens, all.bytes, all.nats.doubleValue());
    }

    private static Sums sums(Iterator<String> texts, SparkModel model, int tokensAtOnce) {
        if (!texts.hasNext()) { // needs no model
            return Sums.NONE;
        }
        return ExecutorModel.with(
                model,
                loaded -> {
                    Sums sums = Sums.NONE;
                    while (texts.hasNext()) {
                        List<String> batch = new ArrayList<>();
                        while (texts.hasNext() && batch.size() < model.batch()) {
                            batch.add(texts.next());
                        }
                        List<TextLikelihood> said = loaded.logLikelihoods(batch, tokensAtOnce);
                        for (int i = 0; i < batch.size(); i++) {
                            sums = sums.plus(Sums.of(batch.get(i), said.get(i)));
                        }
                    }
                    return sums;
                });
    }

    /**
     * The texts of files in which each line is a JSON object.
     *
     * @param path a file, folder or pattern that every executor sees
     * @param field of each line that holds the text
     */
    public static JavaRDD<String> read(JavaSparkContext spark, String path, String field) {
        return spark.textFile(path)
                .filter(line -> !line.isBlank())
                .map(line -> text(line, field, path));
    }

    private static String text(String line, String field, String path) {
        JsonNode text;
        try {
            text = JSON.readTree(line).path(field);
        } catch (JacksonException e) {
            throw new FormatException("%s: a line is no JSON: %s".formatted(path, start(line)), e);
        }
        if (!text.isString()) {
            throw FormatException.of(
                    "%s: a line has no text in field %s: %s", path, field, start(line));
        }
        return text.stringValue();
    }

    private static String start(String line) {
        return line.length() <= 60 ? line : line.substring(0, 60) + "...";
    }

    /** What a result says, by name. */
    static Map<String, Object> json(Perplexity.Result result) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("perplexity", result.perToken());
        out.put("bits_per_byte", result.bitsPerByte());
        out.put("texts", result.examples());
        out.put("tokens", result.tokens());
        out.put("bytes", result.bytes());
        out.put("nats", result.nats());
        return out;
    }
}

package org.qlora4j.judge;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.ask.CallJournal;
import org.qlora4j.ask.CallSettings;
import org.qlora4j.ask.ChatReply;

/**
 * What a judge said of one comparison.
 *
 * @param read the verdict, or two scores; empty if no reply could be read
 * @param entry the reply that was read, the first one if none could be
 * @param settings of that reply
 * @param attempts replies it took
 */
record Rating(
        Comparison comparison,
        List<Double> read,
        CallJournal.Entry entry,
        CallSettings settings,
        int attempts) {
    /** The same rating again, for another comparison of the same answers. */
    boolean agrees(Rating other) {
        return !read.isEmpty() && read.equals(other.read);
    }

    /** The same reply read as another label. */
    Rating withLabel(String label) {
        ChatReply reply = entry.reply();
        ChatReply other =
                new ChatReply(
                        label,
                        reply.promptTokens(),
                        reply.newTokens(),
                        reply.finishReason(),
                        reply.logProbabilities());
        return new Rating(
                comparison,
                List.of(Double.valueOf(label)),
                new CallJournal.Entry(other, entry.date()),
                settings,
                attempts);
    }

    /** Points of the answer shown first: 1, 0 or a half; NaN without a verdict. */
    double points() {
        if (read.isEmpty()) {
            return Double.NaN;
        }
        double order =
                read.size() == 2
                        ? Math.signum(read.get(0) - read.get(1))
                        : read.getFirst() == 3 ? 0 : read.getFirst() == 1 ? 1 : -1;
        return (order + 1) / 2;
    }

    /** A line of a rating file, named as in the released ones. */
    Map<String, Object> json(JudgePrompts prompts, String judge, JudgeConfig config) {
        Question question = comparison.question();
        int reviewer = prompts.reviewer(question.category());
        Map<String, Object> metadata = new LinkedHashMap<>();
        metadata.put("assistant1", comparison.first());
        metadata.put("assistant2", comparison.second());
        metadata.put("judge", judge);
        metadata.put("prompt_sha256", prompts.digest());
        metadata.put("verdict", config.labels() ? "labels" : "text");
        if (config.calibrated()) {
            metadata.put("calibrated", true);
        }
        if (!config.labels()) {
            metadata.putAll(settings.json());
        }
        metadata.put("date", entry.date());
        metadata.put("attempts", attempts);
        metadata.put("prompt_tokens", entry.reply().promptTokens());
        metadata.put("completion_tokens", entry.reply().newTokens());
        List<Double> logs = entry.reply().logProbabilities();
        if (!logs.isEmpty() && config.mode() == JudgeMode.PAIRWISE) {
            metadata.put("label_logprobs", logs);
        }
        Map<String, Object> out = new LinkedHashMap<>();
        String pair = comparison.first() + "\n" + comparison.second();
        out.put("review_id", ShortId.of(judge + "\n" + pair + "\n" + question.key()));
        out.put(question.idField(), question.id());
        out.put("answer1_id", comparison.one().id());
        out.put("answer2_id", comparison.two().id());
        out.put("reviewer_id", reviewer + 1);
        out.put("metadata", metadata);
        out.put("text", entry.reply().text());
        out.put("score", config.mode().score(read));
        return out;
    }
}

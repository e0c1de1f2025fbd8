package org.qlora4j.app;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Answer;
import org.qlora4j.checkpoint.LineLog;
import org.qlora4j.error.ConfigException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Answers of a file of prompts as they come, in a file beside the one to be: what a run that was
 * killed has answered, the next one takes over. Each stands in a line of its own under a digest of
 * all that it depends on; a last line that was cut off counts as none.
 */
final class PartialAnswers implements AutoCloseable {
    private static final JsonMapper JSON = JsonMapper.shared();

    private final LineLog log;
    private final Map<String, Line> known = new LinkedHashMap<>(); // by digest
    private List<String> expected = List.of(); // digests by prompt

    /** An answer that is kept. */
    record Line(String answer, String stopReason, int newTokens) {
        static Line of(Answer answer) {
            String reason = answer.stopReason().name().toLowerCase(Locale.ROOT);
            return new Line(answer.text(), reason, answer.newTokens());
        }
    }

    /**
     * Opens what is there, or begins.
     *
     * @param of the file to be
     * @throws ConfigException if another process writes it, or it holds something else
     */
    static PartialAnswers open(Path of) {
        return new PartialAnswers(LineLog.open(of.resolveSibling(of.getFileName() + ".partial")));
    }

    private PartialAnswers(LineLog log) {
        this.log = log;
        try {
            log.lines().forEach(this::take);
        } catch (RuntimeException e) {
            log.close();
            throw e;
        }
    }

    private void take(String text) {
        JsonNode line;
        try {
            line = JSON.readTree(text);
        } catch (JacksonException e) {
            line = null;
        }
        if (line == null || !line.path("key").isString() || !line.path("answer").isString()) {
            throw ConfigException.of(
                    "%s is not what qlora generate keeps there; move it away, or name another --out",
                    log.file());
        }
        known.put(
                line.get("key").asString(),
                new Line(
                        line.get("answer").asString(),
                        line.path("stop_reason").asString(""),
                        line.path("new_tokens").asInt(0)));
    }

    /** Where answers are kept until all are there. */
    Path file() {
        return log.file();
    }

    boolean isEmpty() {
        return known.isEmpty();
    }

    /**
     * Says what the answers wanted depend on, by prompt.
     *
     * @return how many of them are there
     */
    int expect(List<String> dependOn) {
        expected = dependOn.stream().map(PartialAnswers::digest).toList();
        return (int) expected.stream().filter(known::containsKey).count();
    }

    /** Drops all answers that are there. */
    void forget() {
        known.clear();
        log.clear();
    }

    /** The answer to the prompt of an index, if it is there. */
    @Nullable Line get(int index) {
        return known.get(expected.get(index));
    }

    /** Keeps an answer at once. */
    void add(int index, Line line) {
        String key = expected.get(index);
        Map<String, Object> entry = new LinkedHashMap<>();
        entry.put("key", key);
        entry.put("answer", line.answer());
        entry.put("stop_reason", line.stopReason());
        entry.put("new_tokens", line.newTokens());
        log.append(JSON.writeValueAsString(entry));
        known.put(key, line);
    }

    /** Deletes the file: its answers are in the other now, or not wanted. */
    void delete() {
        known.clear();
        close();
    }

    private static String digest(String dependsOn) {
        try {
            byte[] digest =
                    MessageDigest.getInstance("SHA-256")
                            .digest(dependsOn.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest, 0, 16);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every JDK has it
        }
    }

    /** Leaves the file where it holds an answer. */
    @Override
    public void close() {
        log.close();
        if (known.isEmpty()) {
            try {
                Files.deleteIfExists(log.file());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}

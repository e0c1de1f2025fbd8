package org.qlora4j.eval;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.JsonNumber;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.JsonProblem;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * One file of ratings, {@code A-vs-B-JUDGE-reviewer[-threeclass].jsonl} as the paper's repository
 * names them.
 *
 * @param file where it lies
 * @param left the system named first
 * @param right the system named second
 * @param told whether its records name the systems, as those of {@code qlora eval judge} do; the
 *     one on the left was then shown first
 * @param records its lines
 */
record RatingFile(Path file, String left, String right, boolean told, List<Line> records) {
    private static final Pattern NAME =
            Pattern.compile("(.+?)-vs-(.+?)(?:-gpt-?4)?-reviewer(?:-threeclass)?\\.jsonl");

    /** Parts of a name that tell how answers were sampled, not who gave them. */
    private static final Pattern DECORATION =
            Pattern.compile("^answer-|-(?:vicuna|oa)-generations-.*$");

    private static final JsonMapper JSON = new JsonMapper();

    /**
     * One rating.
     *
     * @param number its line in the file, from 1
     * @param question id of the question
     * @param answer1 id of the answer shown first
     * @param answer2 id of the answer shown second
     * @param systems the systems of both answers, which the file's name cannot tell from a judge's
     *     name; null where the record does not say
     * @param score the verdict 1, 2, 3 or -1, or a list of two scores
     */
    record Line(
            int number,
            String question,
            String answer1,
            String answer2,
            @Nullable Systems systems,
            JsonNode score) {}

    /** The systems whose answers were shown first and second. */
    record Systems(String first, String second) {}

    static boolean isOne(Path file) {
        return NAME.matcher(file.getFileName().toString()).matches();
    }

    /** Whether it holds pairs of scores; otherwise it holds verdicts. */
    boolean isRelative() {
        return records.stream().anyMatch(r -> r.score().isArray());
    }

    /** The system's name without what tells how its answers were sampled. */
    static String shortName(String name) {
        return DECORATION.matcher(name).replaceAll("");
    }

    /**
     * Reads a file.
     *
     * @throws FormatException naming file and line, if a record is not a rating or comes twice
     */
    static RatingFile read(Path file) {
        Matcher name = NAME.matcher(file.getFileName().toString());
        if (!name.matches()) {
            throw FormatException.of(
                    "%s: the name of a file of ratings is A-vs-B-JUDGE-reviewer.jsonl; rename it",
                    file);
        }
        List<Line> lines = new ArrayList<>();
        Set<String> questions = new HashSet<>();
        List<String> text = lines(file);
        for (int i = 0; i < text.size(); i++) {
            if (text.get(i).isBlank()) {
                continue;
            }
            Line line = line(file, i + 1, text.get(i));
            if (!questions.add(line.question())) {
                throw FormatException.of(
                        "%s:%d: question %s was rated before in this file; remove one of the two",
                        file, i + 1, line.question());
            }
            lines.add(line);
        }
        Systems systems = lines.isEmpty() ? null : lines.getFirst().systems();
        for (Line line : lines) {
            if (!Objects.equals(systems, line.systems())) {
                throw FormatException.of(
                        "%s:%d: metadata names other systems than in the lines before; a file holds the ratings of two systems in one order",
                        file, line.number());
            }
        }
        return systems == null
                ? new RatingFile(file, name.group(1), name.group(2), false, List.copyOf(lines))
                : new RatingFile(file, systems.first(), systems.second(), true, List.copyOf(lines));
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file);
        } catch (CharacterCodingException e) {
            throw new FormatException(file + " is not UTF-8; convert it", e);
        } catch (IOException e) {
            throw new FormatException(file + " cannot be read: " + e, e);
        }
    }

    private static Line line(Path file, int number, String text) {
        JsonNode json;
        try {
            json = JSON.readTree(text);
        } catch (JacksonException e) {
            throw new FormatException(
                    "%s:%d: not JSON: %s".formatted(file, number, JsonProblem.of(e)), e);
        }
        JsonNode question =
                json.has("question_id") ? json.get("question_id") : json.get("message_id");
        JsonNode score = json.get("score");
        if (question == null || !question.isValueNode() || !isScore(score)) {
            throw FormatException.of(
                    "%s:%d: a rating needs question_id (or message_id) and score: 1, 2, 3 or -1, or two numbers",
                    file, number);
        }
        return new Line(
                number,
                question.asString(),
                json.path("answer1_id").asString(""),
                json.path("answer2_id").asString(""),
                systems(json.path("metadata")),
                score);
    }

    private static @Nullable Systems systems(JsonNode metadata) {
        JsonNode first = metadata.path("assistant1");
        JsonNode second = metadata.path("assistant2");
        return first.isString() && second.isString()
                ? new Systems(first.asString(), second.asString())
                : null;
    }

    private static boolean isScore(@Nullable JsonNode score) {
        if (score == null) {
            return false;
        }
        if (score.isArray()) {
            return score.size() == 2 && score.valueStream().allMatch(RatingFile::isFinite);
        }
        return score.isIntegralNumber()
                && score.canConvertToInt()
                && Set.of(-1, 1, 2, 3).contains(score.intValue());
    }

    private static boolean isFinite(JsonNode number) {
        return number.isNumber() && Double.isFinite(JsonNumber.of(number));
    }
}

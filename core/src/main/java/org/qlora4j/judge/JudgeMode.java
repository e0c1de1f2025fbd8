package org.qlora4j.judge;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.qlora4j.error.ConfigException;

/** What a judge says of two answers, and how that is read from its reply. */
public enum JudgeMode {
    /** Which is better: 1, 2, or 3 for neither. */
    PAIRWISE("pairwise", "-reviewer-threeclass.jsonl") {
        @Override
        List<Double> parse(String reply) {
            String[] lines = reply.strip().split("\n", -1);
            String last = lines[lines.length - 1].strip();
            return last.matches("\\+?0*[123]") ? List.of(Double.valueOf(last)) : List.of();
        }

        @Override
        List<String> labels() {
            return List.of("1", "2", "3");
        }

        @Override
        Object score(List<Double> read) {
            return read.isEmpty() ? NO_VERDICT : read.getFirst().intValue();
        }

        @Override
        String reminder() {
            return "I could not read your verdict. Reply with the number alone: 1, 2 or 3.";
        }
    },
    /** A score of 1 to 10 for each. */
    SCORES("scores", "-reviewer.jsonl") {
        @Override
        List<Double> parse(String reply) {
            String first = reply.split("\n", -1)[0].replace(",", " ");
            List<Double> out = new ArrayList<>();
            for (String part : first.split(" ", -1)) {
                if (NUMBER.matcher(part.strip()).matches()) {
                    out.add(Double.valueOf(part.strip()));
                } else {
                    return List.of();
                }
            }
            return out.size() == 2 && out.stream().allMatch(s -> s >= 0 && s <= BEST)
                    ? List.copyOf(out)
                    : List.of();
        }

        /** All pairs: the first score's label would else begin that of a longer one. */
        @Override
        List<String> labels() {
            List<String> out = new ArrayList<>();
            for (int one = 1; one <= BEST; one++) {
                for (int two = 1; two <= BEST; two++) {
                    out.add(one + " " + two + "\n");
                }
            }
            return out;
        }

        @Override
        Object score(List<Double> read) {
            return read.isEmpty() ? List.of(NO_VERDICT, NO_VERDICT) : read;
        }

        @Override
        String reminder() {
            return "I could not read your scores. Reply with two numbers from 1 to 10 alone, that of assistant 1 first, with one blank between them.";
        }
    };

    private static final int NO_VERDICT = -1;
    private static final int BEST = 10;
    private static final Pattern NUMBER = Pattern.compile("[+-]?(\\d+(\\.\\d*)?|\\.\\d+)");

    private final String key;
    private final String ending;

    JudgeMode(String key, String ending) {
        this.key = key;
        this.ending = ending;
    }

    /** What it is called on the command line. */
    public String key() {
        return key;
    }

    /** The mode of a name. */
    public static JudgeMode of(String key) {
        return Arrays.stream(values())
                .filter(mode -> mode.key.equals(key))
                .findFirst()
                .orElseThrow(
                        () -> ConfigException.of("--mode must be pairwise or scores, got %s", key));
    }

    /** How names of its rating files end. */
    String ending() {
        return ending;
    }

    /**
     * Reads a reply as the paper's program does: the last line, or the first one with two scores.
     *
     * @return the verdict, or two scores; empty if it cannot be read
     */
    abstract List<Double> parse(String reply);

    /** All replies among which a judge by log-probability chooses. */
    abstract List<String> labels();

    /** What a rating's field {@code score} holds. */
    abstract Object score(List<Double> read);

    /** What a judge is told whose reply could not be read. */
    abstract String reminder();
}

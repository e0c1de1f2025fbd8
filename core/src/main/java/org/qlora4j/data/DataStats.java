package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What became of the records of the data. Places are those of the first case: {@code line 7}, with
 * several files {@code b.jsonl:7}; empty if there is none.
 *
 * @param records records read that have no fault
 * @param examples examples kept
 * @param tokens tokens of these
 * @param labelTokens labels of these that enter the loss
 * @param longest tokens of the longest example before anything was cut
 * @param truncated examples kept that were cut
 * @param truncatedAt the place of the first that was cut
 * @param endsCut examples kept that lost the end of what is learnt, and the end-of-text token with
 *     it
 * @param dropped examples left out because no token to learn was left in them
 * @param droppedAt the place of the first left out
 * @param droppedTooLong those of them that the limits left nothing of
 * @param split records that became several examples
 * @param roundTrips examples whose tokens were decoded again
 * @param roundTripsFailed those of them that did not say what they should
 * @param roundTripAt the place of the first of these
 * @param told what else people should know of the records, such as what of them the chat template
 *     does not write, each with the number of records and the first place
 * @param faults those of the records left out under {@link BadData#SKIP}, each with its place
 */
public record DataStats(
        int records,
        int examples,
        long tokens,
        long labelTokens,
        int longest,
        int truncated,
        String truncatedAt,
        int endsCut,
        int dropped,
        String droppedAt,
        int droppedTooLong,
        int split,
        int roundTrips,
        int roundTripsFailed,
        String roundTripAt,
        List<String> told,
        List<String> faults) {
    /** Faults listed one by one; of more the number is told. */
    static final int FAULTS_LISTED = 50;

    public DataStats {
        told = List.copyOf(told);
        faults = List.copyOf(faults);
    }

    /**
     * Everything a user should hear before training, one fact a line; the first line has the sizes.
     */
    public List<String> report(DataConfig config) {
        List<String> lines = new ArrayList<>();
        lines.add(
                "%d examples from %d records: %d tokens, %d of them trained; longest %d"
                        .formatted(examples, records, tokens, labelTokens, longest));
        lines.addAll(told);
        boolean skips = config.onBadData() == BadData.SKIP;
        if (skips && !faults.isEmpty()) {
            lines.add(
                    "%d records are left out because they have a fault (data.on_bad_data is skip)"
                            .formatted(faults.size()));
            faults.stream().limit(FAULTS_LISTED).forEach(fault -> lines.add("left out: " + fault));
        }
        if (skips && faults.size() > FAULTS_LISTED) {
            lines.add("left out: and %d more".formatted(faults.size() - FAULTS_LISTED));
        }
        if (truncated > 0) {
            lines.add(
                    "%d examples are cut to source_max_len %d and target_max_len %d, the first at %s; %d of them lose the end of the answer"
                            .formatted(
                                    truncated,
                                    config.sourceMaxLen(),
                                    config.targetMaxLen(),
                                    truncatedAt,
                                    endsCut));
        }
        if (dropped > 0) {
            lines.add(
                    "%d examples are left out, the first at %s: %s"
                            .formatted(dropped, droppedAt, reasonOfDrops(config)));
        }
        if (split > 0) {
            lines.add(
                    "%d records become several examples: a long text goes on, a task has instances, or the chat template rewrites earlier turns"
                            .formatted(split));
        }
        if (roundTripsFailed > 0) {
            lines.add(
                    "%d of the first %d examples decode to another text than was encoded, the first at %s; see qlora data inspect"
                            .formatted(roundTripsFailed, roundTrips, roundTripAt));
        }
        return List.copyOf(lines);
    }

    private String reasonOfDrops(DataConfig config) {
        if (droppedTooLong == 0) {
            return "no token to train on is in them";
        }
        String tooLong =
                "they do not fit into source_max_len %d and target_max_len %d"
                        .formatted(config.sourceMaxLen(), config.targetMaxLen());
        return droppedTooLong == dropped
                ? tooLong
                : "%d have no token to train on, of %d %s"
                        .formatted(dropped - droppedTooLong, droppedTooLong, tooLong);
    }

    /** Sums up records as they are read. */
    static final class Counter {
        private int files;
        private int records;
        private int examples;
        private long tokens;
        private long labelTokens;
        private int longest;
        private int truncated;
        private @Nullable Example firstTruncated;
        private int endsCut;
        private int dropped;
        private @Nullable Example firstDropped;
        private int droppedTooLong;
        private int split;
        private int roundTrips;
        private int roundTripsFailed;
        private @Nullable Example firstFailed;
        private final Map<String, Told> told = new LinkedHashMap<>();
        private final List<String> notes = new ArrayList<>();
        private final List<String> faults = new ArrayList<>();

        /** A sentence that holds for some records. */
        private record Told(int records, Example first) {
            Told again() {
                return new Told(records + 1, first);
            }
        }

        /** Another file is read. */
        void file() {
            files++;
        }

        /** What became of a record; one example at least. */
        void record(List<ExampleEncoder.Encoded> examples) {
            records++;
            split += examples.size() > 1 ? 1 : 0;
            Example first = examples.getFirst().example();
            examples.stream()
                    .flatMap(one -> one.told().stream())
                    .distinct()
                    .forEach(sentence ->
                            told.merge(sentence, new Told(1, first), (a, b) -> a.again()));
        }

        /** A sentence about files, such as what of them is not read. */
        void note(String sentence) {
            notes.add(sentence);
        }

        /** The faults of the records left out so far. */
        List<String> faults() {
            return Collections.unmodifiableList(faults);
        }

        /** A record is left out for its fault. */
        void fault(String message) {
            faults.add(message);
        }

        void drop(Example example) {
            firstDropped = dropped++ == 0 ? example : firstDropped;
            droppedTooLong += example.truncated() ? 1 : 0;
            longest = Math.max(longest, example.fullLength());
        }

        void keep(Example example) {
            examples++;
            tokens += example.length();
            labelTokens += example.labelTokens();
            longest = Math.max(longest, example.fullLength());
            endsCut += example.endCut() ? 1 : 0;
            if (example.truncated()) {
                firstTruncated = truncated++ == 0 ? example : firstTruncated;
            }
        }

        void roundTrip(Example example, boolean same) {
            roundTrips++;
            if (!same) {
                firstFailed = roundTripsFailed++ == 0 ? example : firstFailed;
            }
        }

        DataStats stats() {
            return new DataStats(
                    records,
                    examples,
                    tokens,
                    labelTokens,
                    longest,
                    truncated,
                    place(firstTruncated),
                    endsCut,
                    dropped,
                    place(firstDropped),
                    droppedTooLong,
                    split,
                    roundTrips,
                    roundTripsFailed,
                    place(firstFailed),
                    Stream.concat(notes.stream(), told.entrySet().stream().map(this::line))
                            .toList(),
                    faults);
        }

        private String line(Map.Entry<String, Told> said) {
            int number = said.getValue().records();
            return "%s (%d record%s, the first at %s)"
                    .formatted(
                            said.getKey(),
                            number,
                            number == 1 ? "" : "s",
                            place(said.getValue().first()));
        }

        private String place(@Nullable Example example) {
            if (example == null) {
                return "";
            }
            return files > 1 ? example.file() + ":" + example.line() : "line " + example.line();
        }
    }
}

package org.qlora4j.data;

import java.util.ArrayList;
import java.util.List;

/**
 * What became of the records of the data. Lines are those of the first case, 0 if there is none.
 *
 * @param records records read
 * @param examples examples kept
 * @param tokens tokens of these
 * @param labelTokens labels of these that enter the loss
 * @param longest tokens of the longest example before anything was cut
 * @param truncated examples kept that were cut
 * @param truncatedLine the line of the first that was cut
 * @param endsCut examples kept that lost the end of what is learnt, and the end-of-text token with
 *     it
 * @param dropped examples left out because no token to learn was left in them
 * @param droppedLine the line of the first left out
 * @param droppedTooLong those of them that the limits left nothing of
 * @param split records that became several examples
 * @param roundTrips examples whose tokens were decoded again
 * @param roundTripsFailed those of them that did not say what they should
 * @param roundTripLine the line of the first of these
 */
public record DataStats(
        int records,
        int examples,
        long tokens,
        long labelTokens,
        int longest,
        int truncated,
        int truncatedLine,
        int endsCut,
        int dropped,
        int droppedLine,
        int droppedTooLong,
        int split,
        int roundTrips,
        int roundTripsFailed,
        int roundTripLine) {

    /**
     * Everything a user should hear before training, one fact a line; the first line has the sizes.
     */
    public List<String> report(DataConfig config) {
        List<String> lines = new ArrayList<>();
        lines.add(
                "%d examples from %d records: %d tokens, %d of them trained; longest %d"
                        .formatted(examples, records, tokens, labelTokens, longest));
        if (truncated > 0) {
            lines.add(
                    "%d examples are cut to source_max_len %d and target_max_len %d, the first at line %d; %d of them lose the end of the answer"
                            .formatted(
                                    truncated,
                                    config.sourceMaxLen(),
                                    config.targetMaxLen(),
                                    truncatedLine,
                                    endsCut));
        }
        if (dropped > 0) {
            lines.add(
                    "%d examples are left out, the first at line %d: %s"
                            .formatted(dropped, droppedLine, reasonOfDrops(config)));
        }
        if (split > 0) {
            lines.add(
                    "%d records become several examples: a long text goes on, a task has instances, or the chat template rewrites earlier turns"
                            .formatted(split));
        }
        if (roundTripsFailed > 0) {
            lines.add(
                    "%d of the first %d examples decode to another text than was encoded, the first at line %d; see qlora data inspect"
                            .formatted(roundTripsFailed, roundTrips, roundTripLine));
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
        private int records;
        private int examples;
        private long tokens;
        private long labelTokens;
        private int longest;
        private int truncated;
        private int truncatedLine;
        private int endsCut;
        private int dropped;
        private int droppedLine;
        private int droppedTooLong;
        private int split;
        private int roundTrips;
        private int roundTripsFailed;
        private int roundTripLine;

        void record(int examplesOfRecord) {
            records++;
            split += examplesOfRecord > 1 ? 1 : 0;
        }

        void drop(Example example) {
            droppedLine = dropped++ == 0 ? example.line() : droppedLine;
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
                truncatedLine = truncated++ == 0 ? example.line() : truncatedLine;
            }
        }

        void roundTrip(Example example, boolean same) {
            roundTrips++;
            if (!same) {
                roundTripLine = roundTripsFailed++ == 0 ? example.line() : roundTripLine;
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
                    truncatedLine,
                    endsCut,
                    dropped,
                    droppedLine,
                    droppedTooLong,
                    split,
                    roundTrips,
                    roundTripsFailed,
                    roundTripLine);
        }
    }
}

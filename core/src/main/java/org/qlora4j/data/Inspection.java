package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.qlora4j.tokenize.Tokenizer;

/**
 * What a person should know of a data set before a run: sizes, what is learnt, what went wrong, and
 * examples that show it.
 *
 * @param description files, formats and how they were found
 * @param stats what became of the records
 * @param lengths tokens of each example, sorted
 * @param limit tokens an example may have
 * @param ends how many examples end in which token
 * @param duplicates examples whose tokens another one before them has
 * @param findings what to look into, the worst first
 * @param shown examples to look at first, in the order of the data
 * @param from the place of the first of the leaves in the data, from 1
 * @param leaves examples to leaf through, in the order of the data
 */
public record Inspection(
        String description,
        DataStats stats,
        int[] lengths,
        int limit,
        Map<String, Integer> ends,
        int duplicates,
        List<Finding> findings,
        List<Shown> shown,
        int from,
        List<Example> leaves) {
    /** Examples shown for each reason. */
    private static final int OF_EACH_KIND = 3;

    /** Tokens of an example that are shown. */
    public static final int TOKENS_SHOWN = 4000;

    /** Tokens to leaf through at most; a browser takes some ten times as many, slowly. */
    private static final int TOKENS_OF_LEAVES = 200_000;

    /**
     * Something to look into.
     *
     * @param refused whether a run refuses to begin for it (data.on_bad_data)
     */
    public record Finding(boolean refused, String text) {}

    /**
     * An example to look at.
     *
     * @param why what is remarkable about it
     */
    public record Shown(Example example, String why) {}

    /**
     * Looks at all examples.
     *
     * @param stops ids at which generation with this model ends
     * @param from the first example to leaf through, from 1
     * @param most how many to leaf through at most
     */
    public static Inspection of(
            TrainingSet set,
            DataConfig config,
            Tokenizer tokenizer,
            Set<Integer> stops,
            int from,
            int most) {
        int[] lengths = set.lengths();
        Map<Integer, Integer> ends = new TreeMap<>();
        Set<Long> seen = new HashSet<>();
        Map<Integer, String> remarkable = new TreeMap<>();
        Map<String, Integer> ofKind = new LinkedHashMap<>();
        int duplicates = 0;
        int empty = 0;
        int longest = 0;
        int leastTrained = 0;
        double leastShare = 2;
        for (int place = 0; place < lengths.length; place++) {
            Example example = set.examples().get(place);
            int last = example.ids()[example.length() - 1];
            ends.merge(example.endCut() ? -1 : last, 1, Integer::sum);
            if (!seen.add(hash(example.ids()))) {
                duplicates++;
                note(remarkable, ofKind, place, "the same as an earlier example");
            }
            if (example.endCut()) {
                note(remarkable, ofKind, place, "its answer is cut");
            } else if (!isEnd(last, tokenizer, stops)) {
                note(remarkable, ofKind, place, "no end token");
            }
            if (example.labelTokens() == 1 && !example.endCut()) {
                empty++;
                note(remarkable, ofKind, place, "nothing but an end is learnt");
            }
            double share = (double) example.labelTokens() / example.length();
            if (share < leastShare) {
                leastShare = share;
                leastTrained = place;
            }
            longest = lengths[place] > lengths[longest] ? place : longest;
        }
        note(remarkable, ofKind, longest, "the longest");
        note(remarkable, ofKind, leastTrained, "the smallest share trained");
        List<Shown> shown = new ArrayList<>();
        remarkable.forEach((place, why) -> shown.add(new Shown(set.examples().get(place), why)));
        int[] sorted = lengths.clone();
        Arrays.sort(sorted);
        return new Inspection(
                set.description(),
                set.stats(),
                sorted,
                config.sourceMaxLen() + config.targetMaxLen(),
                named(ends, tokenizer, stops),
                duplicates,
                findings(set.stats(), config, ends, duplicates, empty, tokenizer, stops),
                shown,
                from,
                leaves(set, from, most));
    }

    private static List<Example> leaves(TrainingSet set, int from, int most) {
        List<Example> leaves = new ArrayList<>();
        int tokens = 0;
        for (int place = from - 1;
                place < set.examples().size()
                        && leaves.size() < most
                        && (tokens < TOKENS_OF_LEAVES || leaves.isEmpty());
                place++) {
            Example example = set.examples().get(place);
            leaves.add(example);
            tokens += Math.min(example.length(), TOKENS_SHOWN);
        }
        return leaves;
    }

    private static void note(
            Map<Integer, String> remarkable, Map<String, Integer> ofKind, int place, String why) {
        if (ofKind.merge(why, 1, Integer::sum) <= OF_EACH_KIND) {
            remarkable.merge(place, why, (a, b) -> a + ", " + b);
        }
    }

    private static long hash(int[] ids) {
        long hash = ids.length;
        for (int id : ids) {
            hash = (hash ^ id) * 0x9E3779B97F4A7C15L;
            hash ^= hash >>> 32;
        }
        return hash;
    }

    private static boolean isEnd(int id, Tokenizer tokenizer, Set<Integer> stops) {
        return stops.contains(id) || tokenizer.decode(new int[] {id}, true).isEmpty();
    }

    private static Map<String, Integer> named(
            Map<Integer, Integer> ends, Tokenizer tokenizer, Set<Integer> stops) {
        Map<String, Integer> named = new LinkedHashMap<>();
        ends.entrySet().stream()
                .sorted((a, b) -> Integer.compare(b.getValue(), a.getValue()))
                .forEach(end -> {
                    int id = end.getKey();
                    String name =
                            id < 0
                                    ? "cut off"
                                    : isEnd(id, tokenizer, stops)
                                            ? tokenizer.token(id).orElse("id " + id)
                                            : "other tokens";
                    named.merge(name, end.getValue(), Integer::sum);
                });
        return named;
    }

    private static List<Finding> findings(
            DataStats stats,
            DataConfig config,
            Map<Integer, Integer> ends,
            int duplicates,
            int empty,
            Tokenizer tokenizer,
            Set<Integer> stops) {
        List<Finding> findings = new ArrayList<>();
        if (config.onBadData() != BadData.SKIP) {
            stats.faults().stream()
                    .limit(DataStats.FAULTS_LISTED)
                    .forEach(text -> findings.add(new Finding(true, text)));
            if (stats.faults().size() > DataStats.FAULTS_LISTED) {
                findings.add(
                        new Finding(
                                true,
                                "%d more records have a fault (data.on_bad_data=skip leaves them out and lists them)"
                                        .formatted(
                                                stats.faults().size() - DataStats.FAULTS_LISTED)));
            }
        }
        DataGate.findings(stats, config).forEach(text -> findings.add(new Finding(true, text)));
        stats.report(config).stream()
                .skip(1) // the sizes
                .forEach(text -> findings.add(new Finding(false, text)));
        int open = 0;
        for (Map.Entry<Integer, Integer> end : ends.entrySet()) {
            int id = end.getKey();
            if (id >= 0 && !isEnd(id, tokenizer, stops)) {
                open += end.getValue();
            }
        }
        UnstoppedEnds.in(ends, tokenizer, stops)
                .forEach(text -> findings.add(new Finding(false, text)));
        if (open > 0) {
            findings.add(
                    new Finding(
                            false, "%d examples have no end token behind them".formatted(open)));
        }
        if (empty > 0) {
            findings.add(
                    new Finding(
                            false,
                            "%d examples teach nothing but an end; their answers are empty"
                                    .formatted(empty)));
        }
        if (duplicates > 0) {
            findings.add(
                    new Finding(
                            false,
                            "%d examples say the same as an earlier one".formatted(duplicates)));
        }
        return List.copyOf(findings);
    }

    /** The share of tokens that are learnt, in [0, 1]. */
    public double shareTrained() {
        return stats.tokens() == 0 ? 0 : (double) stats.labelTokens() / stats.tokens();
    }

    /** The length that a share of the examples does not exceed. */
    public int quantile(double share) {
        return lengths[
                (int) Math.min(lengths.length - 1L, Math.round(share * (lengths.length - 1)))];
    }

    /** Name and value of each fact, for people. */
    public Map<String, String> facts() {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("data", description);
        facts.put("records", String.format(Locale.ROOT, "%,d", stats.records()));
        facts.put("examples", String.format(Locale.ROOT, "%,d", stats.examples()));
        facts.put(
                "tokens",
                String.format(
                        Locale.ROOT,
                        "%,d, of which %,d trained (%.1f%%)",
                        stats.tokens(),
                        stats.labelTokens(),
                        100 * shareTrained()));
        facts.put(
                "lengths",
                String.format(
                        Locale.ROOT,
                        "%,d to %,d tokens, half up to %,d, 95%% up to %,d",
                        quantile(0),
                        quantile(1),
                        quantile(0.5),
                        quantile(0.95)));
        List<String> each = new ArrayList<>();
        ends.forEach((end, count) -> each.add(end + " " + count));
        facts.put("end in", String.join(", ", each));
        facts.put(
                "cut",
                "%d examples, %d of them in the answer"
                        .formatted(stats.truncated(), stats.endsCut()));
        facts.put("left out", "%d examples".formatted(stats.dropped()));
        facts.put("duplicates", "%d".formatted(duplicates));
        facts.put(
                "round trip",
                "%d of %d examples decode to what was encoded"
                        .formatted(
                                stats.roundTrips() - stats.roundTripsFailed(), stats.roundTrips()));
        return facts;
    }
}

package org.qlora4j.eval;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.JsonNumber;
import org.qlora4j.error.FormatException;

/**
 * All ratings of some folders, in the order of file names and lines.
 *
 * @param judgments verdicts, and what pairs of scores amount to
 * @param scores pairs of scores beside the reference system
 * @param reference name of that system, or null where no file holds scores
 * @param dropped ratings without a verdict: the judge gave none that could be read
 * @param orderByName files whose order of showing only their names told, since no answer id did
 */
public record Ratings(
        List<Judgment> judgments,
        List<ScorePair> scores,
        @Nullable String reference,
        int dropped,
        List<Path> orderByName) {
    /** What the judge's reply amounts to if no verdict could be read in it. */
    private static final double NO_VERDICT = -1;

    /** Names of all systems, sorted. */
    public List<String> systems() {
        TreeSet<String> names = new TreeSet<>();
        for (Judgment j : judgments) {
            names.add(j.first());
            names.add(j.second());
        }
        return List.copyOf(names);
    }

    /**
     * Reads all files of ratings in folders, sub-folders too.
     *
     * @param wantedReference the system that others are scored beside; null for the one named in
     *     most files of scores
     * @throws FormatException if there are none, or one is damaged: file, line, what to do
     */
    public static Ratings read(List<Path> places, @Nullable String wantedReference) {
        List<RatingFile> files = places.stream().flatMap(p -> filesOf(p).stream()).toList();
        if (files.isEmpty()) {
            throw FormatException.of(
                    "%s: no file named A-vs-B-JUDGE-reviewer.jsonl; name a folder that holds ratings",
                    places.stream().map(Path::toString).collect(Collectors.joining(", ")));
        }
        return new RatingsReader(files, shortNames(files), wantedReference).read();
    }

    private static List<RatingFile> filesOf(Path place) {
        if (Files.isRegularFile(place)) {
            return List.of(RatingFile.read(place));
        }
        try (Stream<Path> all = Files.walk(place)) {
            return all.filter(Files::isRegularFile)
                    .filter(RatingFile::isOne)
                    .sorted(Comparator.comparing(p -> p.getFileName().toString()))
                    .map(RatingFile::read)
                    .toList();
        } catch (IOException e) {
            throw new FormatException(place + " cannot be read as a folder of ratings: " + e, e);
        }
    }

    /** The name of a system without what tells how its answers were sampled. */
    public static String shortName(String name) {
        return RatingFile.shortName(name);
    }

    /** Short names where they still tell all systems apart. */
    private static UnaryOperator<String> shortNames(List<RatingFile> files) {
        Map<String, Set<String>> byShort = new TreeMap<>();
        files.stream()
                .flatMap(f -> Stream.of(f.left(), f.right()))
                .forEach(n ->
                        byShort.computeIfAbsent(RatingFile.shortName(n), key -> new HashSet<>())
                                .add(n));
        return name -> {
            String wanted = RatingFile.shortName(name);
            return byShort.getOrDefault(wanted, Set.of()).size() == 1 ? wanted : name;
        };
    }

    /** Puts names and orders to what the files hold. */
    private static final class RatingsReader {
        private final List<RatingFile> files;
        private final UnaryOperator<String> names;
        private final @Nullable String reference;
        private final Map<String, Map<String, Set<String>>> answers = new HashMap<>();
        private final List<Judgment> judgments = new ArrayList<>();
        private final List<ScorePair> scores = new ArrayList<>();
        private final List<Path> orderByName = new ArrayList<>();
        private int dropped;

        RatingsReader(
                List<RatingFile> files, UnaryOperator<String> names, @Nullable String wanted) {
            this.files = files;
            this.names = names;
            this.reference = wanted == null ? mostNamed() : wanted;
        }

        private @Nullable String mostNamed() {
            return files.stream()
                    .filter(RatingFile::isRelative)
                    .flatMap(f -> Stream.of(names.apply(f.left()), names.apply(f.right())))
                    .collect(Collectors.groupingBy(n -> n, TreeMap::new, Collectors.counting()))
                    .entrySet()
                    .stream()
                    .max(Map.Entry.comparingByValue())
                    .map(Map.Entry::getKey)
                    .orElse(null);
        }

        Ratings read() {
            files.stream().filter(RatingFile::isRelative).forEach(this::noteAnswers);
            for (RatingFile file : files) {
                if (file.isRelative()) {
                    readScores(file);
                } else {
                    readVerdicts(file);
                }
            }
            return new Ratings(
                    List.copyOf(judgments),
                    List.copyOf(scores),
                    reference,
                    dropped,
                    List.copyOf(orderByName));
        }

        private void readVerdicts(RatingFile file) {
            String first = names.apply(file.left());
            String second = names.apply(file.right());
            for (RatingFile.Line line : file.records()) {
                int score = line.score().asInt();
                if (score == NO_VERDICT) {
                    dropped++;
                    continue;
                }
                Verdict verdict =
                        score == 1 ? Verdict.FIRST : score == 2 ? Verdict.SECOND : Verdict.TIE;
                judgments.add(new Judgment(line.question(), first, second, verdict));
            }
        }

        /** An answer that stands beside several systems' on one question is the reference's. */
        private void noteAnswers(RatingFile file) {
            String system = systemOf(file);
            for (RatingFile.Line line : file.records()) {
                Map<String, Set<String>> byId =
                        answers.computeIfAbsent(line.question(), q -> new HashMap<>());
                byId.computeIfAbsent(line.answer1(), id -> new HashSet<>()).add(system);
                byId.computeIfAbsent(line.answer2(), id -> new HashSet<>()).add(system);
            }
        }

        private String systemOf(RatingFile file) {
            String left = names.apply(file.left());
            String right = names.apply(file.right());
            if (left.equals(reference)) {
                return right;
            }
            if (right.equals(reference)) {
                return left;
            }
            throw FormatException.of(
                    "%s: scores of %s and %s, neither of them the reference %s; name another one or leave the file out",
                    file.file(), left, right, reference);
        }

        private void readScores(RatingFile file) {
            boolean byName = false;
            for (RatingFile.Line line : file.records()) {
                Boolean told =
                        file.told()
                                ? (Boolean) !names.apply(file.left()).equals(reference)
                                : systemFirst(line);
                byName |= told == null;
                double one = JsonNumber.of(line.score().get(0));
                double two = JsonNumber.of(line.score().get(1));
                if (one == NO_VERDICT || two == NO_VERDICT) {
                    dropped++;
                    continue;
                }
                boolean first = told == null ? systemFirstByName(file) : told;
                add(line.question(), systemOf(file), first, one, two);
            }
            if (byName) {
                orderByName.add(file.file());
            }
        }

        private void add(String question, String system, boolean first, double one, double two) {
            String other = String.valueOf(reference);
            scores.add(
                    new ScorePair(question, system, first, first ? one : two, first ? two : one));
            judgments.add(
                    new Judgment(
                            question,
                            first ? system : other,
                            first ? other : system,
                            Verdict.of(one, two)));
        }

        /** Whether the system's answer was shown first, by answer ids; null if they do not tell. */
        private @Nullable Boolean systemFirst(RatingFile.Line line) {
            Map<String, Set<String>> byId = answers.getOrDefault(line.question(), Map.of());
            int one = byId.getOrDefault(line.answer1(), Set.of()).size();
            int two = byId.getOrDefault(line.answer2(), Set.of()).size();
            return one == two ? null : two > one;
        }

        /** In the released files of finetuned models the system named second was shown first. */
        private boolean systemFirstByName(RatingFile file) {
            boolean namedFirst = !names.apply(file.left()).equals(reference);
            boolean turned =
                    !RatingFile.shortName(file.left()).equals(file.left())
                            || !RatingFile.shortName(file.right()).equals(file.right());
            return namedFirst != turned;
        }
    }
}

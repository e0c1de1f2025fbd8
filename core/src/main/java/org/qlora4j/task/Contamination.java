package org.qlora4j.task;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.qlora4j.data.DatasetRecords;
import org.qlora4j.error.ConfigException;

/**
 * Documents of tasks that training data holds in part: those that share a run of words with it
 * (arXiv 2005.14165, appendix C). Words are runs of letters and digits in lower case; a document
 * shorter than the run must be there as a whole.
 */
public final class Contamination {
    /** Words in a row that hardly stand in two texts by chance. */
    public static final int WORDS = 13;

    /** A document of fewer words is found everywhere, and not looked for. */
    private static final int FEWEST = 5;

    private static final Pattern OTHERS = Pattern.compile("[^\\p{L}\\p{N}]+");

    private final int words;
    private final List<Document> documents = new ArrayList<>();
    // run of words to the documents that have it
    private final Map<String, List<Document>> runs = new HashMap<>();
    private final Set<Integer> lengths = new LinkedHashSet<>();

    /** A document, its runs that have been found, and where the first was. */
    private static final class Document {
        final String task;
        final int number;
        final Set<String> found = new LinkedHashSet<>();
        int runs;
        int line;

        Document(String task, int number) {
            this.task = task;
            this.number = number;
        }
    }

    /**
     * A document that training data holds in part.
     *
     * @param task its task
     * @param document its number
     * @param share of its runs of words that were found
     * @param record of the training data that has one of them first, from 1
     * @param words one of them
     */
    public record Hit(String task, int document, double share, int record, String words) {}

    /**
     * A task.
     *
     * @param documents that are long enough to be looked for
     * @param found those that training data holds in part
     * @param tooShort documents of too few words
     */
    public record Count(int documents, int found, int tooShort) {}

    /**
     * What was found.
     *
     * @param tasks by name
     * @param hits in the order of the documents
     */
    public record Result(Map<String, Count> tasks, List<Hit> hits) {}

    private Contamination(int words) {
        this.words = words;
    }

    /**
     * Looks for the documents of tasks in records.
     *
     * @param suite whose questions, choices and answers are looked for, not their examples
     * @param data a file or data set in any form that training reads; every text in it counts
     * @param words in a row
     */
    public static Result of(TaskSuite suite, String data, int words) {
        if (words < FEWEST) {
            throw ConfigException.of("--words must be at least %d, got %d", FEWEST, words);
        }
        Contamination all = new Contamination(words);
        Map<String, Integer> tooShort = new LinkedHashMap<>();
        suite.tasks()
                .forEach((name, task) -> {
                    int few = 0;
                    int count = suite.options().documents(task.evaluated().size());
                    for (int i = 0; i < count; i++) {
                        few += all.add(new Document(name, i), task.evaluated().get(i)) ? 0 : 1;
                    }
                    tooShort.put(name, few);
                });
        int number = 0;
        for (Map<String, Object> record : DatasetRecords.read(data, "", "train")) {
            all.look(record, ++number);
        }
        return all.result(tooShort);
    }

    private boolean add(Document document, Map<String, Object> fields) {
        List<String> all = new ArrayList<>();
        texts(fields, all);
        // the longest text is the question; short ones such as choices stand in many texts
        String longest = "";
        for (String text : all) {
            longest = text.length() > longest.length() ? text : longest;
        }
        List<String> own = words(longest);
        if (own.size() < FEWEST) {
            return false;
        }
        int length = Math.min(words, own.size());
        lengths.add(length);
        Set<String> distinct = new LinkedHashSet<>(runs(own, length));
        document.runs = distinct.size();
        distinct.forEach(run -> runs.computeIfAbsent(run, r -> new ArrayList<>()).add(document));
        documents.add(document);
        return true;
    }

    private void look(Map<String, Object> record, int number) {
        List<String> all = new ArrayList<>();
        texts(record, all);
        for (String text : all) {
            List<String> own = words(text);
            for (int length : lengths) {
                for (String run : runs(own, length)) {
                    for (Document document : runs.getOrDefault(run, List.of())) {
                        document.line = document.found.isEmpty() ? number : document.line;
                        document.found.add(run);
                    }
                }
            }
        }
    }

    private Result result(Map<String, Integer> tooShort) {
        List<Hit> hits = new ArrayList<>();
        Map<String, Count> tasks = new LinkedHashMap<>();
        tooShort.forEach((task, few) -> {
            List<Document> own = documents.stream().filter(d -> d.task.equals(task)).toList();
            int found = (int) own.stream().filter(d -> !d.found.isEmpty()).count();
            tasks.put(task, new Count(own.size(), found, few));
        });
        for (Document document : documents) {
            if (!document.found.isEmpty()) {
                hits.add(
                        new Hit(
                                document.task,
                                document.number,
                                (double) document.found.size() / document.runs,
                                document.line,
                                document.found.iterator().next()));
            }
        }
        return new Result(tasks, hits);
    }

    /** Texts of a record, those in lists and mappings too. */
    private static void texts(Object value, List<String> out) {
        switch (value) {
            case String text -> out.add(text);
            case List<?> list ->
                    list.forEach(item -> {
                        if (item != null) {
                            texts(item, out);
                        }
                    });
            case Map<?, ?> map ->
                    map.values()
                            .forEach(item -> {
                                if (item != null) {
                                    texts(item, out);
                                }
                            });
            default -> {}
        }
    }

    private static List<String> words(String text) {
        return OTHERS.splitAsStream(text.toLowerCase(Locale.ROOT))
                .filter(word -> !word.isEmpty())
                .toList();
    }

    private static List<String> runs(List<String> words, int length) {
        List<String> out = new ArrayList<>();
        for (int i = 0; i + length <= words.size(); i++) {
            out.add(String.join(" ", words.subList(i, i + length)));
        }
        return out;
    }
}

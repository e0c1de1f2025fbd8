package org.qlora4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.qlora4j.error.FormatException;

/**
 * Tells by their names which files of a folder are which split. Hugging Face's {@code datasets}
 * does the same for a repository without a description of its own: a word of the path ({@code
 * data/train-00000-of-00002.parquet}, {@code test.jsonl}, {@code validation/a.csv}) names the
 * split, and where no path has such a word all files are {@code train}.
 */
final class SplitFiles {
    private static final Map<String, List<String>> WORDS =
            Map.of(
                    "train", List.of("train", "training"),
                    "validation", List.of("validation", "valid", "dev", "val"),
                    "test", List.of("test", "testing", "eval", "evaluation"));

    private SplitFiles() {}

    /**
     * The files of a split.
     *
     * @param owner the folder or repository, for messages
     * @param files all files that can be read, with slashes, from the owner down
     * @param name the configuration: a folder they lie in; empty for any
     * @throws FormatException if the split has no files; says which there are
     */
    static List<String> choose(String owner, List<String> files, String name, String split) {
        TreeMap<String, List<String>> splits = new TreeMap<>();
        TreeSet<String> folders = new TreeSet<>();
        for (String file : files) {
            List<String> above = List.of(file.split("/"));
            above = above.subList(0, above.size() - 1);
            folders.addAll(above);
            if (name.isEmpty() || above.contains(name)) {
                splits.computeIfAbsent(splitOf(file), s -> new ArrayList<>()).add(file);
            }
        }
        if (splits.isEmpty()) {
            throw name.isEmpty()
                    ? FormatException.of(
                            "%s holds no data: files must end in %s", owner, Source.ENDINGS)
                    : FormatException.of(
                            "%s has no configuration %s; its folders are %s", owner, name, folders);
        }
        List<String> unnamed = splits.remove("");
        if (splits.isEmpty() && unnamed != null) {
            splits.put("train", unnamed);
        }
        List<String> chosen = splits.get(canonical(split));
        if (chosen == null) {
            throw FormatException.of(
                    "%s has no split %s; it has %s; name one with split, or as org/name:split",
                    owner, split, String.join(", ", splits.keySet()));
        }
        // dev and validation may be two splits beside each other, as in MMLU
        List<String> exact = chosen.stream().filter(file -> lastWord(file).equals(split)).toList();
        return exact.isEmpty() ? List.copyOf(chosen) : exact;
    }

    /**
     * The raw texts of a split. Their names are titles, so that only folders right below the owner
     * make splits, and only where one of them is {@code train}; else all are.
     *
     * @throws FormatException as {@link #choose}
     */
    static List<String> chooseTexts(String owner, List<String> files, String split) {
        String wanted = canonical(split);
        TreeSet<String> folders = new TreeSet<>();
        files.forEach(file -> folders.add(folderOf(file)));
        if (!folders.contains("train")) {
            if (!wanted.equals("train")) {
                throw FormatException.of(
                        "%s has no split %s; put the texts into folders train and %s, or name another folder",
                        owner, split, split);
            }
            return files;
        }
        List<String> chosen = files.stream().filter(f -> folderOf(f).equals(wanted)).toList();
        if (chosen.isEmpty()) {
            folders.remove(""); // beside them
            throw FormatException.of(
                    "%s has no split %s; its folders are %s",
                    owner, split, String.join(", ", folders));
        }
        return chosen;
    }

    private static String folderOf(String file) {
        int slash = file.indexOf('/');
        return slash < 0 ? "" : canonical(file.substring(0, slash).toLowerCase(Locale.ROOT));
    }

    /** The word of a path that tells its split, as it is written; empty if there is none. */
    private static String lastWord(String path) {
        String found = "";
        for (String word : words(path)) {
            found = WORDS.containsKey(canonical(word)) ? word : found;
        }
        return found;
    }

    private static String[] words(String path) {
        return path.toLowerCase(Locale.ROOT).split("[^a-z]+");
    }

    /** The split whose word the path has, or an empty text. The last such word decides. */
    private static String splitOf(String path) {
        return canonical(lastWord(path));
    }

    private static String canonical(String word) {
        for (var split : WORDS.entrySet()) {
            if (split.getValue().contains(word)) {
                return split.getKey();
            }
        }
        return word;
    }
}

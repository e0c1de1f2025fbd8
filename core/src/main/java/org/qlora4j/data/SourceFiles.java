package org.qlora4j.data;

import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.hub.Hub;
import org.qlora4j.hub.HubRepo;

/** Which files a part of the data stands in: the file it names, those of a folder, of a glob. */
final class SourceFiles {
    private SourceFiles() {}

    /**
     * The files of a part, in the order of their names.
     *
     * @param split which part of a folder or repository is wanted, unless the part says it itself
     * @param encoding of what is text
     * @param told takes a sentence about files that are not read
     * @throws FormatException if there are none, or they cannot be told apart
     */
    static List<Source> of(
            DatasetPart part, String split, TextEncoding encoding, Consumer<String> told) {
        String wanted = part.split().isEmpty() ? split : part.split();
        Path path = local(part.path());
        if (path != null && Files.isDirectory(path)) {
            requireData(path);
            List<Path> files = inFolder(path, path);
            List<Path> records = files.stream().filter(file -> !isText(file)).toList();
            boolean texts = records.isEmpty() && !files.isEmpty();
            List<String> names =
                    (texts ? files : records)
                            .stream()
                                    .map(file ->
                                            path.relativize(file).toString().replace('\\', '/'))
                                    .toList();
            List<String> chosen =
                    texts
                            ? SplitFiles.chooseTexts(path.toString(), names, wanted)
                            : SplitFiles.choose(path.toString(), names, part.name(), wanted);
            tellTexts(path.toString(), texts ? List.of() : files, told);
            return sources(path, chosen.stream().map(path::resolve).toList(), encoding);
        }
        if (path != null && Files.exists(path)) {
            return List.of(Source.of(path, encoding, part.name()));
        }
        if (isGlob(part.path())) {
            return glob(part.path(), encoding, told);
        }
        List<Path> files = fromHub(part, wanted); // or tells that it is no name of a data set
        return sources(files.getFirst(), files, encoding);
    }

    /** A source for each file, but one for all texts. */
    private static List<Source> sources(Path folder, List<Path> files, TextEncoding encoding) {
        boolean texts = files.size() > 1 && files.stream().allMatch(SourceFiles::isText);
        return texts
                ? List.of(new Texts(folder, files, encoding))
                : files.stream().map(file -> Source.of(file, encoding, "")).toList();
    }

    private static boolean isText(Path file) {
        return Source.isText(file.getFileName().toString());
    }

    /** Says which texts lie beside records and are not read, but for what describes them. */
    private static void tellTexts(String owner, List<Path> files, Consumer<String> told) {
        List<String> texts =
                files.stream()
                        .filter(SourceFiles::isText)
                        .map(file -> file.getFileName().toString())
                        .filter(name -> !name.matches("(?i)(readme|licen[cs]e|notice|changelog).*"))
                        .toList();
        if (!texts.isEmpty()) {
            told.accept(
                    "%s: raw texts beside files of records are not read: %s (name them as a part of their own, e.g. %s/*.%s)"
                            .formatted(
                                    owner,
                                    Texts.few(texts),
                                    owner.contains("*") ? "FOLDER" : owner,
                                    texts.getFirst().contains(".md") ? "md" : "txt"));
        }
    }

    /** The file itself, which is missing, for what cannot be a name of the hub. */
    private static List<Path> fromHub(DatasetPart part, String split) {
        QloraDataset named = QloraDataset.of(part.path());
        String name = named == null ? part.path() : named.repository();
        Optional<HubRepo> repo =
                Source.isKnown(part.path()) ? Optional.empty() : HubDatasets.repo(name);
        if (repo.isEmpty()) {
            return List.of(path(part.path()));
        }
        Hub hub = Hub.ofEnvironment();
        return named != null && !named.file().isEmpty()
                ? HubDatasets.file(hub, repo.get(), named.file())
                : HubDatasets.files(hub, repo.get(), part, split);
    }

    private static Path path(String name) {
        Path path = local(name);
        if (path == null) {
            throw FormatException.of("data.dataset: %s is no path", name);
        }
        return path;
    }

    private static @Nullable Path local(String name) {
        try {
            return Path.of(name);
        } catch (InvalidPathException e) { // a glob on Windows
            return null;
        }
    }

    static boolean isGlob(String name) {
        return name.chars().anyMatch(c -> c == '*' || c == '?' || c == '[' || c == '{');
    }

    /** Files under the folder before the first part with a wildcard, whose path fits the whole. */
    private static List<Source> glob(String glob, TextEncoding encoding, Consumer<String> told) {
        String slashed = glob.replace('\\', '/');
        int wildcard = 0;
        while (!isGlob(slashed.substring(wildcard, wildcard + 1))) {
            wildcard++;
        }
        int cut = slashed.lastIndexOf('/', wildcard);
        Path root = path(cut < 0 ? "" : slashed.substring(0, cut + 1));
        PathMatcher matcher;
        try {
            matcher = FileSystems.getDefault().getPathMatcher("glob:" + slashed);
        } catch (java.util.regex.PatternSyntaxException e) {
            throw FormatException.of(
                    "data.dataset: %s is not a glob: %s", glob, e.getDescription());
        }
        List<Path> files =
                Files.isDirectory(root.toAbsolutePath())
                        ? inFolder(root, root).stream().filter(matcher::matches).toList()
                        : List.of();
        if (files.isEmpty()) {
            throw FormatException.of(
                    "%s fits no file in %s; files must end in %s",
                    glob, root.toAbsolutePath(), Source.ENDINGS);
        }
        List<Path> records = files.stream().filter(file -> !isText(file)).toList();
        tellTexts(glob, records.isEmpty() ? List.of() : files, told);
        return sources(root, records.isEmpty() ? files : records, encoding);
    }

    /** A model's folder holds .json files too, which would be read as records. */
    private static void requireData(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            files.map(file -> file.getFileName().toString())
                    .filter(SourceFiles::isOfModel)
                    .sorted()
                    .findFirst()
                    .ifPresent(name -> {
                        throw FormatException.of(
                                "%s is a folder of a model (it holds %s), not of records; give a file or folder of data",
                                folder, name);
                    });
        } catch (IOException e) {
            throw new FormatException(folder + " cannot be read: " + e.getMessage(), e);
        }
    }

    private static boolean isOfModel(String name) {
        return name.equals("tokenizer.json")
                || name.endsWith(".safetensors")
                || name.endsWith(".gguf");
    }

    /** Files that can be read, hidden ones left out, sorted. */
    static List<Path> inFolder(Path folder, Path root) {
        try (Stream<Path> files = Files.walk(folder, java.nio.file.FileVisitOption.FOLLOW_LINKS)) {
            return files.filter(Files::isRegularFile)
                    .filter(file -> !isHidden(root.relativize(file)))
                    .filter(file -> Source.isKnown(file.getFileName().toString()))
                    .sorted()
                    .toList();
        } catch (IOException | java.io.UncheckedIOException e) {
            throw new FormatException(folder + " cannot be read: " + e.getMessage(), e);
        }
    }

    private static boolean isHidden(Path relative) {
        for (Path name : relative) {
            if (name.toString().startsWith(".")) {
                return true;
            }
        }
        return false;
    }
}

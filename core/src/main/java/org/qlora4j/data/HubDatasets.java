package org.qlora4j.data;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.hub.Hub;
import org.qlora4j.hub.HubListing;
import org.qlora4j.hub.HubRepo;

/**
 * Data sets of the Hugging Face hub: {@code org/name}, {@code org/name:split}, {@code
 * org/name@revision}, or a name of qlora.py's. Only the files of the wanted split are downloaded.
 * Programs in a repository are never run.
 */
final class HubDatasets {
    private HubDatasets() {}

    /** The part as a repository, empty for what cannot be one. */
    static Optional<HubRepo> repo(String path) {
        return HubRepo.of(HubRepo.Kind.DATASET, nameOf(path));
    }

    private static String nameOf(String path) {
        int colon = path.lastIndexOf(':');
        return colon < 0 ? path : path.substring(0, colon);
    }

    /**
     * The files of a split, downloaded unless the cache has them.
     *
     * @param split wanted unless the name says another
     */
    static List<Path> files(Hub hub, HubRepo repo, DatasetPart part, String split) {
        int colon = part.path().lastIndexOf(':');
        String wanted = colon < 0 ? split : part.path().substring(colon + 1);
        HubListing listing = hub.list(repo);
        List<String> data =
                listing.files().stream()
                        .filter(file -> Source.isKnown(file) && !Source.isText(file)) // its README
                        .toList();
        String program = program(repo, listing);
        if (data.isEmpty() && program != null) {
            throw FormatException.of(
                    "%s is made by a program (%s), which is never run; try the copy in Parquet that the hub keeps: %s@refs/convert/parquet",
                    repo, program, repo.id());
        }
        List<String> chosen = SplitFiles.choose(repo.toString(), data, part.name(), wanted);
        requireOneConfiguration(repo, chosen, part.name());
        Path snapshot = hub.fetch(listing, chosen);
        return chosen.stream().map(snapshot::resolve).toList();
    }

    private static @Nullable String program(HubRepo repo, HubListing listing) {
        String name = repo.id().substring(repo.id().lastIndexOf('/') + 1) + ".py";
        return listing.files().stream()
                .filter(file -> file.equalsIgnoreCase(name))
                .findFirst()
                .orElse(null);
    }

    /** Folders beside each other that all have the split are configurations, not shards. */
    private static void requireOneConfiguration(HubRepo repo, List<String> files, String name) {
        TreeSet<String> folders = new TreeSet<>();
        files.forEach(f -> folders.add(f.contains("/") ? f.substring(0, f.indexOf('/')) : ""));
        if (name.isEmpty() && folders.size() > 1) {
            throw FormatException.of(
                    "%s has several configurations: %s; choose one with {path: %s, name: …}",
                    repo, String.join(", ", folders), repo);
        }
    }

    /** A file of a repository by its name there. */
    static List<Path> file(Hub hub, HubRepo repo, String file) {
        HubListing listing = hub.list(repo);
        if (!listing.files().contains(file)) {
            throw FormatException.of("%s has no file %s", repo, file);
        }
        List<Path> files = new ArrayList<>();
        files.add(hub.fetch(listing, List.of(file)).resolve(file));
        return files;
    }
}

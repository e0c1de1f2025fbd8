package org.qlora4j.hub;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The hub and its cache, as the environment sets them up. The hub is asked for the newest commit,
 * unless the environment says that there is no network; where it does not answer, the cache does.
 */
public final class Hub {
    private static final Logger LOG = LoggerFactory.getLogger(Hub.class);

    private final HubSettings settings;
    private final HubClient client;
    private final Consumer<String> notices;

    Hub(HubSettings settings, Consumer<String> notices) {
        this.settings = settings;
        this.client = new HubClient(settings);
        this.notices = notices;
    }

    /** Set up by the environment of the process. */
    public static Hub ofEnvironment() {
        Path home = Path.of(System.getProperty("user.home"));
        return new Hub(HubSettings.of(System.getenv(), home), LOG::info);
    }

    /**
     * Set up by other variables.
     *
     * @param home of the user, for what the variables leave open
     * @param notices takes what people should hear, such as the size of a download
     */
    public static Hub of(Map<String, String> environment, Path home, Consumer<String> notices) {
        return new Hub(HubSettings.of(environment, home), notices);
    }

    /**
     * What a repository holds.
     *
     * @throws FormatException if the hub refuses, or does not answer and the cache has nothing
     */
    public HubListing list(HubRepo repo) {
        if (settings.offline()) {
            return cached(repo, "HF_HUB_OFFLINE keeps the hub from being asked", null);
        }
        try {
            HubClient.Description found = client.describe(repo);
            found.files().forEach(file -> requireSafe(repo, file));
            Path folder = repo.folder(settings.cache());
            if (!repo.isPinned()) {
                remember(folder.resolve("refs").resolve(repo.revision()), found.commit());
            }
            Path snapshot = folder.resolve("snapshots").resolve(found.commit());
            return new HubListing(
                    repo,
                    found.commit(),
                    List.copyOf(new TreeSet<>(found.files())),
                    snapshot,
                    false);
        } catch (IOException e) {
            HubListing listing =
                    cached(
                            repo,
                            "%s does not answer (%s)".formatted(settings.endpoint(), reason(e)),
                            e);
            notices.accept(
                    "%s does not answer; taking %s from the cache"
                            .formatted(settings.endpoint(), repo));
            return listing;
        }
    }

    private static String reason(IOException e) {
        return e.getMessage() == null
                ? e.getClass().getSimpleName()
                : e.getMessage().replaceAll("\\p{Cntrl}", "?");
    }

    /**
     * The commit that a revision had when it was last asked for, with what was downloaded of it.
     */
    private HubListing cached(HubRepo repo, String why, @Nullable IOException cause) {
        Path folder = repo.folder(settings.cache());
        try {
            Path ref = folder.resolve("refs").resolve(repo.revision());
            String commit =
                    repo.isPinned()
                            ? repo.revision()
                            : Files.isRegularFile(ref) ? Files.readString(ref).strip() : "";
            Path snapshot = folder.resolve("snapshots").resolve(commit);
            if (!commit.isEmpty() && Files.isDirectory(snapshot)) {
                return new HubListing(repo, commit, filesIn(snapshot), snapshot, true);
            }
        } catch (IOException | UncheckedIOException e) {
            throw new FormatException(folder + " cannot be read: " + e.getMessage(), e);
        }
        throw new FormatException(
                "%s is neither a path here nor in the cache %s, and %s"
                        .formatted(repo, settings.cache(), why),
                cause);
    }

    private static List<String> filesIn(Path snapshot) throws IOException {
        try (Stream<Path> files = Files.walk(snapshot, FileVisitOption.FOLLOW_LINKS)) {
            return files.filter(Files::isRegularFile)
                    .map(file -> snapshot.relativize(file).toString().replace('\\', '/'))
                    .sorted()
                    .toList();
        }
    }

    /**
     * Downloads those of some files that the cache lacks.
     *
     * @param files of the listing
     * @return the folder of the snapshot
     * @throws FormatException if one cannot be had, or does not arrive as the hub announced it
     */
    public Path fetch(HubListing listing, List<String> files) {
        for (String file : files) {
            Path target = listing.snapshot().resolve(file);
            if (Files.exists(target)) {
                continue;
            }
            if (listing.isCached()) {
                throw FormatException.of(
                        "%s: %s is not in the cache; download it while online",
                        listing.repo(), file);
            }
            try {
                HubBlob.fetch(client, settings, listing, file, target, notices);
            } catch (IOException e) {
                throw new FormatException(
                        "%s: %s cannot be downloaded: %s"
                                .formatted(listing.repo(), file, reason(e)),
                        e);
            }
        }
        return listing.snapshot();
    }

    private static void remember(Path ref, String commit) {
        try {
            if (Files.isRegularFile(ref) && Files.readString(ref).strip().equals(commit)) {
                return;
            }
            Files.createDirectories(ref.getParent());
            Path written = Files.createTempFile(ref.getParent(), ".", ".ref");
            Files.writeString(written, commit);
            Files.move(written, ref, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new FormatException(
                    "the hub's cache cannot be written: %s; set HF_HOME to a folder that can"
                            .formatted(e.getMessage()),
                    e);
        }
    }

    /** Names come from strangers: none may lead out of the snapshot. */
    private static void requireSafe(HubRepo repo, String file) {
        boolean isSafe =
                !file.isEmpty()
                        && !file.startsWith("/")
                        && file.chars().noneMatch(c -> c == '\\' || c == ':' || c < ' ');
        for (String part : file.split("/", -1)) {
            isSafe &= !part.isEmpty() && !part.equals(".") && !part.equals("..");
        }
        if (!isSafe) {
            throw FormatException.of(
                    "%s lists the file '%s', whose name is not safe to write; it is not downloaded",
                    repo, file.replaceAll("\\p{Cntrl}", "?"));
        }
    }
}

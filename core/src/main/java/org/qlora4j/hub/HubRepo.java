package org.qlora4j.hub;

import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.qlora4j.error.FormatException;

/**
 * A repository of the hub at a revision.
 *
 * @param kind what it holds
 * @param id {@code org/name}; very old ones have a name alone
 * @param revision a branch, tag, or commit of 40 hex digits
 */
public record HubRepo(Kind kind, String id, String revision) {
    /** What repositories hold, each kind with a corner of the hub and of the cache. */
    public enum Kind {
        MODEL("models", ""),
        DATASET("datasets", "datasets/");

        private final String plural;
        private final String urlPrefix;

        Kind(String plural, String urlPrefix) {
            this.plural = plural;
            this.urlPrefix = urlPrefix;
        }
    }

    private static final Pattern NAME =
            Pattern.compile("(?<id>[\\w-][\\w.-]*/[\\w-][\\w.-]*)(@(?<revision>[\\w./-]+))?");
    private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

    /**
     * The repository of a name {@code org/name} or {@code org/name@revision}, empty for what is no
     * such name.
     */
    public static Optional<HubRepo> of(Kind kind, String name) {
        Matcher matcher = NAME.matcher(name);
        if (!matcher.matches() || name.contains("..") || name.contains("--")) {
            return Optional.empty();
        }
        String revision = matcher.group("revision");
        if (revision != null && !revision.matches("(?!\\.)[\\w.-]+(/(?!\\.)[\\w.-]+)*")) {
            throw FormatException.of(
                    "%s: the revision %s is none: it must be a branch, a tag or a commit, whose parts between slashes are not empty",
                    matcher.group("id"), revision);
        }
        return Optional.of(
                new HubRepo(kind, matcher.group("id"), revision == null ? "main" : revision));
    }

    /** Whether the revision is a commit, which never changes. */
    boolean isPinned() {
        return COMMIT.matcher(revision).matches();
    }

    /** Its folder in the cache. */
    Path folder(Path cache) {
        return cache.resolve(kind.plural + "--" + id.replace("/", "--"));
    }

    /** The path of its description on the hub. */
    String apiPath() {
        return "/api/" + kind.plural + "/" + id + "/revision/" + Urls.encode(revision);
    }

    /** The path of a file on the hub. */
    String filePath(String commit, String file) {
        return "/" + kind.urlPrefix + id + "/resolve/" + commit + "/" + Urls.encodePath(file);
    }

    /** Where people look at it. */
    String page() {
        return "/" + kind.urlPrefix + id;
    }

    @Override
    public String toString() {
        return revision.equals("main") ? id : id + "@" + revision;
    }
}

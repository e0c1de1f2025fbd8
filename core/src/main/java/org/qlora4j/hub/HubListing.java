package org.qlora4j.hub;

import java.nio.file.Path;
import java.util.List;

/**
 * The files of a repository at one commit.
 *
 * @param repo whose they are
 * @param commit 40 hex digits
 * @param files paths with slashes, sorted; those in the cache only, if the hub was not asked
 * @param snapshot the folder that holds those which are downloaded
 * @param isCached whether the list was read off the cache
 */
public record HubListing(
        HubRepo repo, String commit, List<String> files, Path snapshot, boolean isCached) {
    public HubListing {
        files = List.copyOf(files);
    }
}

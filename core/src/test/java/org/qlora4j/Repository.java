package org.qlora4j;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The checkout that the tests run in, for tests of its documents. */
final class Repository {
    private Repository() {}

    /** The folder with README.md and the modules. */
    static Path root() {
        @Nullable Path folder = Path.of("").toAbsolutePath();
        while (folder != null && !Files.isRegularFile(folder.resolve("qlora"))) {
            folder = folder.getParent();
        }
        if (folder == null) {
            throw new IllegalStateException("no folder around this one holds the launcher qlora");
        }
        return folder;
    }

    /** README.md, CONTRIBUTING.md and docs/*.md. */
    static List<Path> documents() throws IOException {
        Path root = root();
        try (Stream<Path> docs = Files.list(root.resolve("docs"))) {
            return Stream.concat(
                            Stream.of(root.resolve("README.md"), root.resolve("CONTRIBUTING.md")),
                            docs.filter(file -> file.toString().endsWith(".md")).sorted())
                    .toList();
        }
    }
}

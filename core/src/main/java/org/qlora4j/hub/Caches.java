package org.qlora4j.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.qlora4j.error.DeviceException;

/**
 * Where files are kept that can be made again, and those without a name that end with the process.
 * The system's folder of temporary files is often memory itself.
 */
public final class Caches {
    private Caches() {}

    /** {@code QLORA_CACHE}, or {@code qlora4j} where this user's programs keep such. */
    public static Path folder() {
        String own = System.getenv("QLORA_CACHE");
        if (own != null && !own.isBlank()) {
            return Path.of(own);
        }
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path caches =
                xdg != null && !xdg.isBlank()
                        ? Path.of(xdg)
                        : Path.of(System.getProperty("user.home"), ".cache");
        return caches.resolve("qlora4j");
    }

    /** The {@link #folder}, which is there now. */
    public static Path made() {
        Path folder = folder();
        try {
            return Files.createDirectories(folder);
        } catch (IOException e) {
            throw new DeviceException(
                    "%s cannot be made (%s); set QLORA_CACHE to a folder that can be written"
                            .formatted(folder, e.getMessage()),
                    e);
        }
    }
}

package org.qlora4j.model;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.AtomicFolder;
import org.qlora4j.error.DeviceException;
import org.qlora4j.hub.Caches;

/**
 * The small chat model inside the library, for trying things without a download. Its model card is
 * the README.md among its files. Weights are mapped into memory, so a model in a jar is unpacked
 * once, into a folder named by its checksum; one in a folder of classes is used where it lies.
 */
public final class EmbeddedModel {
    /** What stands for it where a model is named. */
    public static final String NAME = "embedded";

    /** Its files, a line {@code SHA256 NAME} each, as {@code sha256sum} writes them. */
    static final String LIST = "files.sha256";

    private EmbeddedModel() {}

    /**
     * The folder with its files, unpacked if need be.
     *
     * @throws DeviceException if it cannot be written
     */
    public static Path folder() {
        URL list =
                Objects.requireNonNull(EmbeddedModel.class.getResource("embedded/" + LIST), LIST);
        if (list.getProtocol().equals("file")) {
            try {
                URI uri = list.toURI();
                return Path.of(uri).resolveSibling(".").normalize();
            } catch (URISyntaxException e) {
                throw new IllegalStateException(e);
            }
        }
        return unpack(Caches.folder());
    }

    /**
     * Unpacks the files into a folder below another, unless they are there. One thread at a time:
     * the folder under way is named by the process.
     *
     * @return the folder with the files
     */
    static synchronized Path unpack(Path cache) {
        byte[] list = read(LIST);
        Path target = cache.resolve("embedded-" + sha256(list).substring(0, 12));
        if (Files.isDirectory(target)) { // it appeared whole
            return target;
        }
        try {
            Files.createDirectories(cache);
        } catch (IOException e) {
            throw new DeviceException(
                    "%s, where the embedded model is unpacked, cannot be made: %s; set QLORA_CACHE to a folder"
                                    .formatted(cache, AtomicFiles.reason(e))
                            + " that can be written",
                    e);
        }
        try (AtomicFolder folder = AtomicFolder.begin(target)) {
            for (String name : names(list)) {
                AtomicFiles.write(folder.path().resolve(name), read(name));
            }
            if (!Files.isDirectory(target)) { // else another process was faster
                folder.commit();
            }
        }
        return target;
    }

    /** Names of the files in the list. */
    static List<String> names(byte[] list) {
        return new String(list, StandardCharsets.UTF_8)
                .lines()
                .map(line -> line.substring(line.indexOf("  ") + 2))
                .toList();
    }

    static byte[] read(String name) {
        try (InputStream in =
                Objects.requireNonNull(
                        EmbeddedModel.class.getResourceAsStream("embedded/" + name), name)) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}

package org.qlora4j.app.serve;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * Keys of which a request must bear one. Only their digests are kept, and each of them is compared
 * whole, so that the time taken says nothing of a key.
 */
public final class ApiKeys {
    private static final int SHORTEST = 16;
    private static final String SCHEME = "Bearer ";

    /** Everybody may ask. */
    public static final ApiKeys NONE = new ApiKeys(List.of());

    private final List<byte[]> digests;

    private ApiKeys(List<byte[]> digests) {
        this.digests = digests;
    }

    /**
     * Reads a file with a key a line; empty lines and those that begin with # count as none.
     *
     * @throws ConfigException if it cannot be read, holds no key, or one that is easily guessed
     */
    public static ApiKeys read(Path file) {
        List<byte[]> digests = new ArrayList<>();
        int number = 0;
        try {
            for (String line : Files.readAllLines(file)) {
                number++;
                String key = line.strip();
                if (key.isEmpty() || key.startsWith("#")) {
                    continue;
                }
                if (key.length() < SHORTEST) {
                    throw ConfigException.of(
                            "%s:%d: a key must have at least %d characters, this one has %d",
                            file, number, SHORTEST, key.length());
                }
                digests.add(digest(key));
            }
        } catch (IOException e) {
            throw ConfigException.of("%s cannot be read: %s", file, e.toString());
        }
        if (digests.isEmpty()) {
            throw ConfigException.of("%s holds no key; write one a line", file);
        }
        return new ApiKeys(digests);
    }

    /** Whether requests need a key at all. */
    boolean isEmpty() {
        return digests.isEmpty();
    }

    /**
     * Whether a request may pass.
     *
     * @param authorization the header, null if there is none
     */
    boolean allow(@Nullable String authorization) {
        if (digests.isEmpty()) {
            return true;
        }
        String given = authorization == null ? "" : authorization;
        boolean bears = given.regionMatches(true, 0, SCHEME, 0, SCHEME.length());
        byte[] digest = digest(bears ? given.substring(SCHEME.length()).strip() : "");
        boolean known = false;
        for (byte[] each : digests) {
            known |= MessageDigest.isEqual(each, digest);
        }
        return bears && known;
    }

    private static byte[] digest(String key) {
        try {
            return MessageDigest.getInstance("SHA-256")
                    .digest(key.getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every JDK has it
        }
    }
}

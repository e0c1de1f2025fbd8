package org.qlora4j.app.rate;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What tells raters apart: a secret each, kept in {@code raters.json} so that their links work
 * after a restart.
 *
 * @param byRater 128 random bits by name
 */
public record RaterTokens(Map<String, String> byRater) {
    private static final String FILE = "raters.json";
    private static final int BYTES = 16;

    /** Reads the folder's, and draws one for each rater that has none. */
    public static RaterTokens of(Path folder, List<String> raters) {
        Map<String, String> known = read(folder.resolve(FILE));
        Map<String, String> out = new LinkedHashMap<>();
        for (String rater : raters) {
            if (!rater.matches("[A-Za-z0-9_-]{1,40}")) {
                throw ConfigException.of(
                        "--rater %s: a name has 1 to 40 letters, digits, - and _", rater);
            }
            out.put(rater, known.getOrDefault(rater, drawn()));
        }
        known.putAll(out);
        AtomicFiles.writeText(
                folder.resolve(FILE), new JsonMapper().writeValueAsString(known) + "\n");
        return new RaterTokens(out);
    }

    private static Map<String, String> read(Path file) {
        Map<String, String> out = new LinkedHashMap<>();
        if (!Files.exists(file)) {
            return out;
        }
        try {
            for (Map.Entry<String, JsonNode> e :
                    new JsonMapper().readTree(Files.readString(file)).properties()) {
                if (!e.getValue().isString()) {
                    throw FormatException.of(
                            "%s: %s must be the text of a link; remove it to draw another",
                            file, e.getKey());
                }
                out.put(e.getKey(), e.getValue().asString());
            }
            return out;
        } catch (IOException | JacksonException e) {
            throw new FormatException("%s cannot be read: %s".formatted(file, e.getMessage()), e);
        }
    }

    private static String drawn() {
        byte[] bytes = new byte[BYTES];
        new SecureRandom().nextBytes(bytes);
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    /** The rater of a token; null if it is nobody's. All are compared, whole. */
    @Nullable String rater(String token) {
        byte[] given = token.getBytes(StandardCharsets.UTF_8);
        String found = null;
        for (Map.Entry<String, String> e : byRater.entrySet()) {
            if (MessageDigest.isEqual(e.getValue().getBytes(StandardCharsets.UTF_8), given)) {
                found = e.getKey();
            }
        }
        return found;
    }
}

package org.qlora4j.hub;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * What the environment says of the hub; variables and defaults are huggingface_hub's.
 *
 * @param cache root of the cache: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, or {@code hub} in HF_HOME
 * @param endpoint HF_ENDPOINT
 * @param token HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or the file HF_TOKEN_PATH; null for none
 * @param offline HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE
 * @param metadataTimeout HF_HUB_ETAG_TIMEOUT, for a small answer
 * @param downloadTimeout HF_HUB_DOWNLOAD_TIMEOUT, until a download begins
 */
record HubSettings(
        Path cache,
        URI endpoint,
        @Nullable String token,
        boolean offline,
        Duration metadataTimeout,
        Duration downloadTimeout) {
    private static final Set<String> YES = Set.of("1", "ON", "YES", "TRUE");

    /** The settings of an environment. */
    static HubSettings of(Map<String, String> environment, Path userHome) {
        Path xdg = path(environment, "XDG_CACHE_HOME", userHome.resolve(".cache"));
        Path home = path(environment, "HF_HOME", xdg.resolve("huggingface"));
        Path old = path(environment, "HUGGINGFACE_HUB_CACHE", home.resolve("hub"));
        return new HubSettings(
                path(environment, "HF_HUB_CACHE", old),
                endpoint(value(environment, "HF_ENDPOINT", "https://huggingface.co")),
                token(environment, home),
                isYes(environment, "HF_HUB_OFFLINE") || isYes(environment, "TRANSFORMERS_OFFLINE"),
                seconds(environment, "HF_HUB_ETAG_TIMEOUT"),
                seconds(environment, "HF_HUB_DOWNLOAD_TIMEOUT"));
    }

    private static String value(Map<String, String> environment, String name, String otherwise) {
        String value = environment.get(name);
        return value == null || value.isBlank() ? otherwise : value.strip();
    }

    private static Path path(Map<String, String> environment, String name, Path otherwise) {
        String value = value(environment, name, "");
        String home = System.getProperty("user.home");
        return value.isEmpty()
                ? otherwise
                : Path.of(value.startsWith("~/") ? home + value.substring(1) : value);
    }

    private static boolean isYes(Map<String, String> environment, String name) {
        return YES.contains(value(environment, name, "").toUpperCase(Locale.ROOT));
    }

    private static Duration seconds(Map<String, String> environment, String name) {
        String value = value(environment, name, "10");
        try {
            return Duration.ofSeconds(Math.max(1, Integer.parseInt(value)));
        } catch (NumberFormatException e) {
            throw new ConfigException(name + " must be whole seconds, got " + value, e);
        }
    }

    private static URI endpoint(String text) {
        try {
            URI uri = URI.create(text.replaceAll("/+$", ""));
            if (uri.getHost() != null && Set.of("http", "https").contains(uri.getScheme())) {
                return uri;
            }
        } catch (IllegalArgumentException e) {
            throw new ConfigException("HF_ENDPOINT must be an address, got " + text, e);
        }
        throw new ConfigException("HF_ENDPOINT must be an http or https address, got " + text);
    }

    private static @Nullable String token(Map<String, String> environment, Path home) {
        if (isYes(environment, "HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
            return null;
        }
        String token =
                value(environment, "HF_TOKEN", value(environment, "HUGGING_FACE_HUB_TOKEN", ""));
        Path file = path(environment, "HF_TOKEN_PATH", home.resolve("token"));
        try {
            if (token.isEmpty() && Files.isRegularFile(file)) {
                token = Files.readString(file).strip();
            }
        } catch (IOException e) {
            throw new ConfigException("the hub's token cannot be read from " + file, e);
        }
        return token.isEmpty() ? null : token;
    }
}

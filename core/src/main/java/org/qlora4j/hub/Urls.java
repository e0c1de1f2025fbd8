package org.qlora4j.hub;

import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.stream.Collectors;

/** Percent-encoding of paths, and whether two addresses are the same place. */
final class Urls {
    private Urls() {}

    /** Every character but the unreserved ones, slashes too. */
    static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8)
                .replace("+", "%20")
                .replace("%7E", "~");
    }

    /** As {@link #encode}, slashes kept. */
    static String encodePath(String path) {
        return Arrays.stream(path.split("/", -1))
                .map(Urls::encode)
                .collect(Collectors.joining("/"));
    }

    /** Same scheme, host and port: who may see the token. */
    static boolean isSameOrigin(URI a, URI b) {
        return String.valueOf(a.getScheme()).equalsIgnoreCase(b.getScheme())
                && String.valueOf(a.getHost()).equalsIgnoreCase(b.getHost())
                && port(a) == port(b);
    }

    private static int port(URI uri) {
        return uri.getPort() >= 0 ? uri.getPort() : "https".equals(uri.getScheme()) ? 443 : 80;
    }
}

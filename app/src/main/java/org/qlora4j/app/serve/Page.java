package org.qlora4j.app.serve;

import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Objects;

/**
 * A file of the page at {@code /}, which needs nothing from elsewhere: browsers are told to fetch
 * from this server alone, and to run no script but its own.
 */
record Page(String file, String type, byte[] bytes) {
    private static final String POLICY =
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
                    + " img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

    static Page of(String file, String type) {
        try (InputStream in = Page.class.getResourceAsStream(file)) {
            return new Page(file, type, Objects.requireNonNull(in, file).readAllBytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    void send(ServerResponse response) {
        response.header(HeaderNames.CONTENT_TYPE, type + "; charset=utf-8");
        response.header(HeaderNames.create("Content-Security-Policy"), POLICY);
        response.header(HeaderNames.create("X-Content-Type-Options"), "nosniff");
        response.header(HeaderNames.CACHE_CONTROL, "no-cache");
        response.send(bytes);
    }
}

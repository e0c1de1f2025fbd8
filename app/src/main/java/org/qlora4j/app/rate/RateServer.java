package org.qlora4j.app.rate;

import io.helidon.http.HeaderNames;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.UserException;
import org.qlora4j.judge.HumanRatings;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The rating page over HTTP. A rater is known by a token, which the page takes from the part of its
 * address behind {@code #}, so that no log holds it. A rating is on the disk before it is
 * confirmed.
 */
public final class RateServer implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(RateServer.class);
    private static final JsonMapper JSON = JsonMapper.shared();
    private static final int MOST_BYTES = 1 << 16;
    private static final String BEARER = "Bearer ";

    private final HumanRatings ratings;
    private final RaterTokens tokens;
    private final WebServer server;

    private RateServer(HumanRatings ratings, RaterTokens tokens, String host, int port) {
        this.ratings = ratings;
        this.tokens = tokens;
        HttpRouting.Builder routes = HttpRouting.builder();
        file(routes, "/", "rate.html", "text/html; charset=utf-8");
        file(routes, "/rate.js", "rate.js", "text/javascript; charset=utf-8");
        file(routes, "/rate.css", "rate.css", "text/css; charset=utf-8");
        routes.get("/api/next", (q, s) -> answer(q, s, (rater, body) -> state(rater, null)));
        routes.post("/api/before", (q, s) -> answer(q, s, this::before));
        routes.post("/api/rate", (q, s) -> answer(q, s, this::rate));
        this.server =
                WebServer.builder()
                        .host(host)
                        .port(port)
                        .shutdownHook(false)
                        .shutdownGracePeriod(Duration.ofMillis(200))
                        .routing(routes)
                        .build();
    }

    /** Listens from now on; the ratings stay their owner's. */
    public static RateServer start(
            HumanRatings ratings, RaterTokens tokens, String host, int port) {
        RateServer made = new RateServer(ratings, tokens, host, port);
        made.server.start();
        return made;
    }

    /** The port that is listened on. */
    public int port() {
        return server.port();
    }

    /** What a request of a known rater gets. */
    private interface Work {
        Map<String, @Nullable Object> run(String rater, JsonNode body);
    }

    private static void file(HttpRouting.Builder routes, String path, String name, String type) {
        byte[] bytes;
        try (InputStream in = RateServer.class.getResourceAsStream(name)) {
            bytes = Objects.requireNonNull(in, name).readAllBytes();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
        routes.get(
                path,
                (q, s) -> {
                    secure(s, type);
                    s.header(
                            HeaderNames.create("Content-Security-Policy"),
                            "default-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'");
                    s.send(bytes);
                });
    }

    private static void secure(ServerResponse response, String type) {
        response.header(HeaderNames.CONTENT_TYPE, type);
        response.header(HeaderNames.CACHE_CONTROL, "no-store");
        response.header(HeaderNames.create("X-Content-Type-Options"), "nosniff");
        response.header(HeaderNames.create("Referrer-Policy"), "no-referrer");
    }

    private void answer(ServerRequest request, ServerResponse response, Work work) {
        int status = 200;
        Map<String, ?> body;
        String header = request.headers().first(HeaderNames.AUTHORIZATION).orElse("");
        String rater =
                header.startsWith(BEARER) ? tokens.rater(header.substring(BEARER.length())) : null;
        if (rater == null) {
            status = 401;
            body = Map.of("error", "this link is of no rater; ask for yours again");
        } else {
            try {
                body = work.run(rater, body(request));
            } catch (UserException | JacksonException | IOException e) {
                status = 400;
                body = Map.of("error", String.valueOf(e.getMessage()));
            } catch (RuntimeException e) {
                LOG.warn("a rating failed: {}", e.toString());
                status = 500;
                body = Map.of("error", "the rating was not kept; try again");
            }
        }
        response.status(status);
        secure(response, "application/json");
        response.send(JSON.writeValueAsBytes(body));
    }

    private static JsonNode body(ServerRequest request) throws IOException {
        if (!request.content().hasEntity()) {
            return JSON.missingNode();
        }
        try (InputStream in = request.content().inputStream()) {
            byte[] bytes = in.readNBytes(MOST_BYTES + 1);
            if (bytes.length > MOST_BYTES) {
                throw new IOException("a comment may have %d bytes".formatted(MOST_BYTES));
            }
            return JSON.readTree(bytes);
        }
    }

    private Map<String, @Nullable Object> before(String rater, JsonNode body) {
        return state(rater, ratings.before(rater, body.path("item").asString("")));
    }

    private Map<String, @Nullable Object> rate(String rater, JsonNode body) {
        ratings.rate(
                rater,
                body.path("item").asString(""),
                body.path("verdict").asInt(0),
                body.path("comment").asString("").strip());
        return state(rater, null);
    }

    /** What the page shows: a comparison that is asked for, else the next one. */
    private Map<String, @Nullable Object> state(String rater, HumanRatings.@Nullable Shown asked) {
        Map<String, @Nullable Object> out = new LinkedHashMap<>();
        out.put("rater", rater);
        out.put("done", ratings.done(rater));
        out.put("all", ratings.all(rater));
        out.put("item", asked == null ? ratings.next(rater) : asked);
        return out;
    }

    @Override
    public void close() {
        server.stop();
    }
}

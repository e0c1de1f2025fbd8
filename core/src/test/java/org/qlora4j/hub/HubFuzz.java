package org.qlora4j.hub;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.qlora4j.testing.FuzzChild;
import org.qlora4j.testing.Mutation;

/** Answers of a hub with mutated bodies, headers and status codes, each asked for a file. */
final class HubFuzz {
    private static final String COMMIT = "a".repeat(40);
    private static final String LISTING =
            "{\"sha\":\"%s\",\"siblings\":[{\"rfilename\":\"t.jsonl\"},{\"rfilename\":\"sub/u.json\"}]}"
                    .formatted(COMMIT);
    private static final List<String> PIECES =
            List.of(
                    "null",
                    "[]",
                    "{}",
                    "\"",
                    "\\",
                    "../",
                    "/etc/passwd",
                    "\"sha\":5,",
                    "\"rfilename\":\"../../x\"",
                    "[[[[[[",
                    "\u0000",
                    "\"\\ud800\"",
                    "1e999",
                    "%2e%2e/",
                    "C:\\x",
                    ":",
                    ",",
                    "true");
    private static final List<String> HEADERS =
            List.of(
                    "ETag",
                    "X-Linked-Etag",
                    "X-Linked-Size",
                    "X-Repo-Commit",
                    "Location",
                    "Content-Encoding");
    private static final List<String> VALUES =
            List.of(
                    "",
                    "0",
                    "-1",
                    "5",
                    "99999999999999999999",
                    "abc",
                    "\"" + "d".repeat(64) + "\"",
                    "W/\"x\"",
                    "\"../../x\"",
                    "\"\"",
                    "http://127.0.0.1:1/x",
                    "/loop",
                    "file:///etc/passwd",
                    "gzip",
                    "://",
                    "\"" + "e".repeat(5000) + "\"");
    private static final int[] STATUS = {
        200, 200, 200, 200, 206, 301, 302, 307, 400, 401, 403, 404, 416, 429, 500, 503
    };

    private HubFuzz() {}

    public static void main(String[] arguments) throws IOException {
        AtomicReference<Random> randomness = new AtomicReference<>(new Random(0));
        HttpServer server =
                HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(
                Executors.newFixedThreadPool(
                        4,
                        r -> {
                            Thread t = new Thread(r);
                            t.setDaemon(true);
                            return t;
                        }));
        server.createContext(
                "/", exchange -> answer(exchange, Objects.requireNonNull(randomness.get())));
        server.start();
        Path home = Files.createTempDirectory("fuzz");
        FuzzChild.main(
                arguments,
                seed -> {
                    randomness.set(new Random(seed));
                    empty(home);
                    Hub hub =
                            Hub.of(
                                    Map.of(
                                            "HF_ENDPOINT",
                                            "http://127.0.0.1:" + server.getAddress().getPort(),
                                            "HF_HOME",
                                            home.toString(),
                                            "HF_HUB_ETAG_TIMEOUT",
                                            "1",
                                            "HF_HUB_DOWNLOAD_TIMEOUT",
                                            "1"),
                                    home,
                                    text -> {});
                    HubListing listing =
                            hub.list(HubRepo.of(HubRepo.Kind.DATASET, "o/n").orElseThrow());
                    if (!listing.files().isEmpty()) {
                        Path folder = hub.fetch(listing, List.of(listing.files().getFirst()));
                        if (!folder.normalize().startsWith(home)) {
                            throw new IllegalStateException("wrote to " + folder);
                        }
                    }
                });
        server.stop(0);
        empty(home);
    }

    private static void empty(Path home) throws IOException {
        try (Stream<Path> files = Files.walk(home)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                if (!file.equals(home)) {
                    Files.delete(file);
                }
            }
        }
    }

    private static void answer(HttpExchange exchange, Random random) throws IOException {
        try (exchange) {
            boolean api = exchange.getRequestURI().getPath().startsWith("/api/");
            boolean damaged = random.nextInt(3) > 0;
            byte[] body =
                    (api
                                    ? damaged ? Mutation.text(LISTING, PIECES, random) : LISTING
                                    : "x".repeat(random.nextInt(40)))
                            .getBytes(StandardCharsets.UTF_8);
            if (!api) {
                exchange.getResponseHeaders().set("ETag", "\"" + "d".repeat(64) + "\"");
                exchange.getResponseHeaders().set("X-Repo-Commit", COMMIT);
            }
            for (int i = random.nextInt(3); i > 0; i--) {
                exchange.getResponseHeaders()
                        .set(Mutation.one(HEADERS, random), Mutation.one(VALUES, random));
            }
            int status = random.nextInt(3) > 0 ? 200 : STATUS[random.nextInt(STATUS.length)];
            boolean head = exchange.getRequestMethod().equals("HEAD");
            int announced = random.nextInt(8) == 0 ? 0 : body.length; // 0: chunked
            exchange.sendResponseHeaders(status, head || body.length == 0 ? -1 : announced);
            if (!head && body.length > 0) {
                exchange.getResponseBody().write(body);
            }
        }
    }
}

package org.qlora4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.FormatException;

/** A hub that lies, stalls or never ends: each answer ends in one line, soon and within bounds. */
class HostileHubTest {
    private static final String COMMIT = "a".repeat(40);
    private static final String LISTING =
            "{\"sha\":\"" + COMMIT + "\",\"siblings\":[{\"rfilename\":\"t.jsonl\"}]}";

    @TempDir Path home;
    private HttpServer server;

    /** Answers a request. */
    private interface Answer {
        void to(HttpExchange exchange) throws IOException, InterruptedException;
    }

    private Answer api = exchange -> send(exchange, LISTING);
    private Answer head = exchange -> {};
    private Answer file = exchange -> {};

    @BeforeEach
    void start() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/", this::answer);
        server.start();
    }

    @AfterEach
    void stop() {
        server.stop(0);
    }

    private void answer(HttpExchange exchange) {
        try (exchange) {
            if (exchange.getRequestURI().getPath().startsWith("/api/")) {
                api.to(exchange);
            } else if (exchange.getRequestMethod().equals("HEAD")) {
                head.to(exchange);
            } else {
                file.to(exchange);
            }
        } catch (IOException | InterruptedException e) {
            return; // the other side has hung up, as it should
        }
    }

    private static void send(HttpExchange exchange, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
    }

    private static Answer announcing(String size) {
        return exchange -> {
            exchange.getResponseHeaders().set("ETag", "\"" + "d".repeat(64) + "\"");
            exchange.getResponseHeaders().set("X-Linked-Size", size);
            exchange.sendResponseHeaders(200, -1);
        };
    }

    private static void endless(HttpExchange exchange, String chunk, int pauseMillis)
            throws IOException, InterruptedException {
        exchange.sendResponseHeaders(200, 0);
        OutputStream out = exchange.getResponseBody();
        byte[] bytes = chunk.getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < 20_000; i++) {
            out.write(bytes);
            out.flush();
            Thread.sleep(pauseMillis);
        }
    }

    private void fetch() {
        Hub hub =
                Hub.of(
                        Map.of(
                                "HF_ENDPOINT",
                                "http://127.0.0.1:" + server.getAddress().getPort(),
                                "HF_HOME",
                                home.toString(),
                                "HF_HUB_ETAG_TIMEOUT",
                                "5",
                                "HF_HUB_DOWNLOAD_TIMEOUT",
                                "1"),
                        home,
                        text -> {});
        HubListing listing = hub.list(HubRepo.of(HubRepo.Kind.DATASET, "o/n").orElseThrow());
        hub.fetch(listing, List.of("t.jsonl"));
    }

    private long bytesInCache() throws IOException {
        try (Stream<Path> files = Files.walk(home)) {
            return files.filter(Files::isRegularFile).mapToLong(f -> f.toFile().length()).sum();
        }
    }

    @Test
    void moreThanAnnounced_stopsAtTheSize() throws IOException {
        head = announcing("1000");
        file = exchange -> endless(exchange, "x".repeat(1 << 16), 0);
        assertThatThrownBy(this::fetch)
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(
                        "t.jsonl is longer than the hub announced (more than the 1000 bytes");
        assertThat(bytesInCache()).isLessThan(1000);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3000})
    void bodyThatDripsOrStalls_isGivenUp(int pauseMillis) {
        head = announcing("100000000");
        file = exchange -> endless(exchange, "x", pauseMillis);
        assertThatThrownBy(this::fetch)
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("t.jsonl cannot be downloaded: the answer stalled");
    }

    @Test
    void descriptionThatDrips_isGivenUp() {
        api = exchange -> endless(exchange, " ", 100);
        assertThatThrownBy(this::fetch)
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("does not answer (the answer stalled)");
    }

    @Test
    void descriptionWithoutEnd_isGivenUp() {
        api =
                exchange -> {
                    exchange.sendResponseHeaders(200, 0);
                    OutputStream out = exchange.getResponseBody();
                    out.write("{\"sha\":\"".getBytes(StandardCharsets.UTF_8));
                    byte[] chunk = "a".repeat(1 << 16).getBytes(StandardCharsets.UTF_8);
                    for (int i = 0; i < 100_000; i++) {
                        out.write(chunk);
                    }
                };
        assertThatThrownBy(this::fetch).isInstanceOf(FormatException.class);
    }

    @ParameterizedTest
    @CsvSource({
        "abc, 'gives the size abc, which is no number of bytes'",
        "-7, 'gives the size -7, which is no number of bytes'",
        "18446744073709551616, 'gives the size 18446744073709551616'",
        "999999999999999999, 'more than there is room for in'"
    })
    void absurdSize_isRefused(String size, String reason) {
        head = announcing(size);
        assertThatThrownBy(this::fetch)
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(reason);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "ht tp://[bad",
                "http:///x",
                "http:foo",
                "http://127.0.0.1:99999/",
                "file:///etc/passwd",
                "jar:file:/x!/y"
            })
    void malformedRedirect_isOneLine(String location) {
        api =
                exchange -> {
                    exchange.getResponseHeaders().set("Location", location);
                    exchange.sendResponseHeaders(302, -1);
                };
        assertThatThrownBy(this::fetch)
                .isInstanceOf(FormatException.class)
                .message()
                .doesNotContain("\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[1,2]",
                "{}",
                "<html>",
                "{\"sha\":5,\"siblings\":\"x\"}",
                "{\"sha\":\"a\",\"siblings\":[[[",
                "",
                "nul"
            })
    void otherJson_isOneLine(String text) {
        api = exchange -> send(exchange, text);
        assertThatThrownBy(this::fetch)
                .isInstanceOf(FormatException.class)
                .message()
                .doesNotContain("\n")
                .doesNotContain("tools.jackson");
    }

    @ParameterizedTest
    @ValueSource(strings = {"o/n@/etc", "o/n@a//b", "o/n@a/", "o/n@./a", "o/n@/"})
    void revisionWithEmptyParts_isRefused(String name) {
        assertThatThrownBy(() -> HubRepo.of(HubRepo.Kind.MODEL, name))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("o/n: the revision ");
    }

    @Test
    void errorCodeOfTheHub_cannotSteerATerminal() {
        api =
                exchange -> {
                    exchange.getResponseHeaders().set("X-Error-Code", "x\tESC\u001b[31mRED");
                    exchange.sendResponseHeaders(401, -1);
                };
        assertThatThrownBy(this::fetch)
                .isInstanceOf(FormatException.class)
                .message()
                .doesNotContain("\u001b");
    }
}

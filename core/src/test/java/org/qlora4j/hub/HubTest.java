package org.qlora4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.FormatException;

/** Against a hub of our own and, for large files, a second host beside it. */
class HubTest {
    private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
    private static final String SMALL = "hello\n";

    /** What {@code git hash-object} says of it. */
    private static final String SMALL_ETAG = "ce013625030ba8dba906f756967f9e9ca394464a";

    private static final byte[] LARGE = "0123456789".repeat(5000).getBytes(StandardCharsets.UTF_8);

    @TempDir Path home;
    private final List<String> notices = new ArrayList<>();
    private final List<String> seen = Collections.synchronizedList(new ArrayList<>());
    private final Map<String, String> files = new TreeMap<>();
    private HttpServer hub;
    private HttpServer store;
    private byte[] stored = LARGE;
    private int status = 200;
    private String errorCode = "";
    private int cutAt = Integer.MAX_VALUE;

    @BeforeEach
    void start() throws IOException {
        files.put("README.md", SMALL_ETAG);
        files.put("data/big.bin", sha256(LARGE));
        hub = server();
        store = server();
        hub.createContext("/", this::answer);
        store.createContext("/", this::answerLarge);
    }

    private static HttpServer server() throws IOException {
        HttpServer server =
                HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.start();
        return server;
    }

    @AfterEach
    void stop() {
        hub.stop(0);
        store.stop(0);
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private void note(String host, HttpExchange exchange) {
        seen.add(
                "%s %s %s %s"
                        .formatted(
                                host,
                                exchange.getRequestMethod(),
                                exchange.getRequestURI().getRawPath(),
                                exchange.getRequestHeaders().getFirst("Authorization")));
    }

    private void answer(HttpExchange exchange) throws IOException {
        note("hub", exchange);
        String path = exchange.getRequestURI().getPath();
        if (status != 200) {
            exchange.getResponseHeaders().set("X-Error-Code", errorCode);
            exchange.sendResponseHeaders(status, -1);
        } else if (path.startsWith("/api/")) {
            StringBuilder json = new StringBuilder("{\"sha\":\"" + COMMIT + "\",\"siblings\":[");
            files.keySet().forEach(f -> json.append("{\"rfilename\":\"").append(f).append("\"},"));
            json.setCharAt(json.length() - 1, ']');
            send(exchange, 200, json.append("}").toString().getBytes(StandardCharsets.UTF_8));
        } else if (path.endsWith("big.bin")) {
            exchange.getResponseHeaders()
                    .set("X-Linked-Etag", '"' + files.get("data/big.bin") + '"');
            exchange.getResponseHeaders().set("X-Linked-Size", "" + LARGE.length);
            exchange.getResponseHeaders()
                    .set("Location", "http://127.0.0.1:" + store.getAddress().getPort() + "/x");
            exchange.sendResponseHeaders(302, -1);
        } else {
            exchange.getResponseHeaders().set("ETag", "W/\"" + SMALL_ETAG + '"');
            send(exchange, 200, SMALL.getBytes(StandardCharsets.UTF_8));
        }
        exchange.close();
    }

    private void answerLarge(HttpExchange exchange) throws IOException {
        String range = exchange.getRequestHeaders().getFirst("Range");
        note("store " + range, exchange);
        int from = range == null ? 0 : Integer.parseInt(range.replaceAll("\\D", ""));
        byte[] rest = java.util.Arrays.copyOfRange(stored, from, stored.length);
        exchange.sendResponseHeaders(range == null ? 200 : 206, rest.length);
        exchange.getResponseBody().write(rest, 0, Math.min(rest.length, cutAt));
        cutAt = Integer.MAX_VALUE; // only the first time
        exchange.close();
    }

    private static void send(HttpExchange exchange, int status, byte[] body) throws IOException {
        boolean head = exchange.getRequestMethod().equals("HEAD");
        if (head) {
            exchange.getResponseHeaders().set("Content-Length", "" + body.length);
        }
        exchange.sendResponseHeaders(status, head ? -1 : body.length);
        if (!head) {
            exchange.getResponseBody().write(body);
        }
    }

    private Hub hub(String... variables) {
        Map<String, String> environment = new TreeMap<>();
        environment.put("HF_HOME", home.toString());
        environment.put("HF_ENDPOINT", "http://127.0.0.1:" + hub.getAddress().getPort());
        environment.put("HF_HUB_ETAG_TIMEOUT", "5");
        for (int i = 0; i < variables.length; i += 2) {
            environment.put(variables[i], variables[i + 1]);
        }
        return Hub.of(environment, home, notices::add);
    }

    private static HubRepo repo(String name) {
        return HubRepo.of(HubRepo.Kind.DATASET, name).orElseThrow();
    }

    private Path fetch(Hub hub) {
        HubListing listing = hub.list(repo("org/name"));
        return hub.fetch(listing, listing.files());
    }

    @Test
    void download_laysTheCacheOutAsHuggingFaceHub() throws IOException {
        Path snapshot = fetch(hub());
        Path folder = home.resolve("hub/datasets--org--name");
        assertThat(snapshot).isEqualTo(folder.resolve("snapshots/" + COMMIT));
        assertThat(folder.resolve("refs/main")).hasContent(COMMIT);
        assertThat(snapshot.resolve("README.md")).hasContent(SMALL.strip());
        assertThat(Files.readSymbolicLink(snapshot.resolve("README.md")))
                .hasToString("../../blobs/" + SMALL_ETAG);
        assertThat(Files.readSymbolicLink(snapshot.resolve("data/big.bin")))
                .hasToString("../../../blobs/" + sha256(LARGE));
        assertThat(snapshot.resolve("data/big.bin")).hasBinaryContent(LARGE);
        assertThat(seen.getFirst()).startsWith("hub GET /api/datasets/org/name/revision/main");
        assertThat(seen)
                .anyMatch(s ->
                        s.startsWith(
                                "hub HEAD /datasets/org/name/resolve/" + COMMIT + "/README.md"));
        seen.clear();
        fetch(hub());
        assertThat(seen).hasSize(1); // the commit is asked for, the files are there
    }

    @Test
    void token_goesToTheHubAlone() {
        fetch(hub("HF_TOKEN", "hf_secret"));
        assertThat(seen)
                .filteredOn(s -> s.startsWith("hub"))
                .allMatch(s -> s.endsWith("Bearer hf_secret"));
        assertThat(seen)
                .filteredOn(s -> s.startsWith("store"))
                .isNotEmpty()
                .allMatch(s -> s.endsWith(" null"));
    }

    @Test
    void tokenFile_isReadUnlessSwitchedOff() throws IOException {
        Files.writeString(home.resolve("token"), "hf_file\n");
        fetch(hub());
        assertThat(seen.getFirst()).endsWith("Bearer hf_file");
        seen.clear();
        hub("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1").list(repo("org/name"));
        assertThat(seen.getFirst()).endsWith(" null");
    }

    @Test
    void offline_takesTheCacheAndAsksNobody() {
        assertThatThrownBy(() -> hub("HF_HUB_OFFLINE", "1").list(repo("org/name")))
                .isInstanceOf(FormatException.class)
                .hasMessage(
                        "org/name is neither a path here nor in the cache "
                                + home.resolve("hub")
                                + ", and HF_HUB_OFFLINE keeps the hub from being asked");
        fetch(hub());
        seen.clear();
        Path snapshot = fetch(hub("HF_HUB_OFFLINE", "yes"));
        assertThat(snapshot.resolve("README.md")).exists();
        assertThat(seen).isEmpty();
    }

    @Test
    void hubThatDoesNotAnswer_isReplacedByTheCache() {
        Hub known = hub();
        Hub empty = hub("HF_HOME", home.resolve("other").toString());
        fetch(known);
        hub.stop(0);
        fetch(known);
        assertThat(notices).singleElement().asString().endsWith("taking org/name from the cache");
        assertThatThrownBy(() -> fetch(empty))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("org/name is neither a path here nor in the cache")
                .hasMessageContaining("does not answer (");
    }

    @Test
    void damagedFile_isRefusedAndForgotten() throws IOException {
        stored = LARGE.clone();
        stored[777] ^= 1;
        assertThatThrownBy(() -> fetch(hub()))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith("org/name: data/big.bin arrived damaged: its checksum is ");
        try (var left = Files.list(home.resolve("hub/datasets--org--name/blobs"))) {
            assertThat(left)
                    .extracting(p -> p.getFileName().toString())
                    .containsExactly(SMALL_ETAG);
        }
        stored = LARGE;
        assertThat(fetch(hub()).resolve("data/big.bin")).hasBinaryContent(LARGE);
    }

    @Test
    void brokenConnection_goesOnWhereItWasCut() {
        cutAt = 12_345;
        assertThat(fetch(hub()).resolve("data/big.bin")).hasBinaryContent(LARGE);
        assertThat(seen).filteredOn(s -> s.startsWith("store bytes=")).hasSize(1);
    }

    @ParameterizedTest
    @CsvSource({
        "401, RepoNotFound, the hub refuses access (401 RepoNotFound)",
        "403, GatedRepo, its terms wait to be accepted at",
        "404, RevisionNotFound, the hub has no such revision",
        "404, RepoNotFound, the hub has no such repository",
        "503, '', does not answer (status 503)"
    })
    void refusals_areSaidInALine(int status, String code, String message) {
        this.status = status;
        this.errorCode = code;
        assertThatThrownBy(() -> fetch(hub()))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(message)
                .hasMessageNotContaining("\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"../evil", "/etc/passwd", "a/../../b", "C:/x", "a//b", "a\\\\b"})
    void namesThatLeadOutOfTheSnapshot_areRefused(String name) {
        files.put(name, SMALL_ETAG);
        assertThatThrownBy(() -> fetch(hub()))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("is not safe to write");
    }

    @Test
    void names_areToldFromPaths() {
        assertThat(HubRepo.of(HubRepo.Kind.MODEL, "org/name@refs/pr/1"))
                .contains(new HubRepo(HubRepo.Kind.MODEL, "org/name", "refs/pr/1"));
        for (String other : List.of("a", "a/b/c", "/a/b", "../b", "./b", "a/b c", "~/b", "a/..")) {
            assertThat(HubRepo.of(HubRepo.Kind.MODEL, other)).isEmpty();
        }
    }
}

package org.qlora4j.ask;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.IntFunction;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** An address of OpenAI's API on this machine that fails as it is told to. */
public final class StubServer implements AutoCloseable {
    private static final JsonMapper JSON = new JsonMapper();

    /** What happens to a request. */
    public enum Fault {
        NONE,
        LIMIT,
        LIMIT_UNTIL_A_DATE,
        SILENCE,
        SILENCE_AFTER_THE_HEADERS,
        DISCONNECT,
        CUT_BODY,
        NO_JSON,
        NO_CHAT,
        SERVER_ERROR,
        NO_KEY,
        NO_MONEY
    }

    private final HttpServer server;
    private final Function<JsonNode, String> replies;
    private final IntFunction<Fault> faults;
    private final AtomicInteger requests = new AtomicInteger();
    private final Map<String, Integer> delivered = new ConcurrentHashMap<>();
    private final List<String> keys = Collections.synchronizedList(new ArrayList<>());

    /**
     * @param replies text for the body of a request
     * @param faults by the request's number, from 0
     */
    public StubServer(Function<JsonNode, String> replies, IntFunction<Fault> faults) {
        this.replies = replies;
        this.faults = faults;
        try {
            server =
                    HttpServer.create(
                            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        server.createContext("/v1/", this::answer);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.start();
    }

    public String address() {
        return "http://127.0.0.1:%d/v1".formatted(server.getAddress().getPort());
    }

    /** Requests that came, failed ones too. */
    public int requests() {
        return requests.get();
    }

    /** How often a reply was sent to each body, the key of it. */
    public Map<String, Integer> delivered() {
        return delivered;
    }

    /** What the requests bear as Idempotency-Key, in the order in which they came. */
    public List<String> keys() {
        synchronized (keys) {
            return List.copyOf(keys);
        }
    }

    private void answer(HttpExchange exchange) throws IOException {
        keys.add(exchange.getRequestHeaders().getFirst("Idempotency-Key"));
        byte[] body = exchange.getRequestBody().readAllBytes();
        JsonNode json = JSON.readTree(body);
        Fault fault = faults.apply(requests.getAndIncrement());
        switch (fault) {
            case NONE -> {
                send(exchange, 200, reply(exchange, json));
                delivered.merge(new String(body, StandardCharsets.UTF_8), 1, Integer::sum);
            }
            case LIMIT -> {
                exchange.getResponseHeaders().set("Retry-After", "0.2");
                send(exchange, 429, error("slow down", "rate_limit_exceeded"));
            }
            case LIMIT_UNTIL_A_DATE -> {
                String date =
                        DateTimeFormatter.RFC_1123_DATE_TIME.format(
                                ZonedDateTime.now(ZoneOffset.UTC).plusSeconds(1));
                exchange.getResponseHeaders().set("Retry-After", date);
                send(exchange, 429, error("slow down", "rate_limit_exceeded"));
            }
            case SILENCE -> sleep(exchange);
            case SILENCE_AFTER_THE_HEADERS -> {
                exchange.sendResponseHeaders(200, 1000);
                exchange.getResponseBody().write("{\"choices\"".getBytes(StandardCharsets.UTF_8));
                exchange.getResponseBody().flush();
                sleep(exchange);
            }
            case DISCONNECT -> exchange.close();
            case CUT_BODY -> {
                exchange.sendResponseHeaders(200, 1000);
                exchange.getResponseBody().write("{\"choices\"".getBytes(StandardCharsets.UTF_8));
                exchange.close();
            }
            case NO_JSON -> send(exchange, 200, "<html>busy</html>");
            case NO_CHAT -> send(exchange, 200, "{\"choices\": []}");
            case SERVER_ERROR -> send(exchange, 503, error("overloaded", "server_error"));
            case NO_KEY -> send(exchange, 401, error("no such key", "invalid_api_key"));
            case NO_MONEY -> send(exchange, 429, error("pay first", "insufficient_quota"));
        }
    }

    private String reply(HttpExchange exchange, JsonNode body) {
        String text = replies.apply(body);
        Map<String, Object> choice =
                exchange.getRequestURI().getPath().endsWith("/chat/completions")
                        ? Map.of(
                                "message",
                                Map.of("role", "assistant", "content", text),
                                "finish_reason",
                                "stop")
                        : Map.of("text", text, "finish_reason", "stop");
        return JSON.writeValueAsString(
                Map.of(
                        "choices",
                        List.of(choice),
                        "usage",
                        Map.of("prompt_tokens", 7, "completion_tokens", 3)));
    }

    private static String error(String message, String code) {
        return JSON.writeValueAsString(Map.of("error", Map.of("message", message, "code", code)));
    }

    private static void send(HttpExchange exchange, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    private static void sleep(HttpExchange exchange) {
        try {
            Thread.sleep(60_000);
        } catch (InterruptedException e) {
            exchange.close();
        }
    }

    @Override
    public void close() {
        server.stop(0);
    }
}

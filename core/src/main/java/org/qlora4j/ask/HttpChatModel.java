package org.qlora4j.ask;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.Notice;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A model at an address that speaks OpenAI's API: chats by {@code /chat/completions}, raw prompts
 * by {@code /completions}. What may pass (limits, timeouts, broken connections, server errors,
 * replies that are cut) is tried again, after the wait that {@code Retry-After} names, else after
 * one that doubles; a limit holds all requests back.
 */
public final class HttpChatModel implements ChatModel {
    private static final JsonMapper JSON = new JsonMapper();
    private static final Duration LONGEST_WAIT = Duration.ofMinutes(1);
    private static final int SHOWN = 200; // characters of a refusal

    private final HttpConfig config;
    private final HttpClient client;
    private final RequestPace pace;
    private final Map<HttpFailure.Kind, Integer> failures = new EnumMap<>(HttpFailure.Kind.class);

    public HttpChatModel(HttpConfig config) {
        this.config = config;
        this.pace = new RequestPace(config.perMinute());
        this.client =
                HttpClient.newBuilder()
                        .version(HttpClient.Version.HTTP_1_1)
                        .connectTimeout(config.timeout())
                        .build();
    }

    @Override
    public String name() {
        return config.model();
    }

    @Override
    public String identity() {
        return config.address() + " " + config.model();
    }

    @Override
    public void answer(List<ChatCall> calls, BiConsumer<Integer, ChatReply> onReply) {
        for (ChatCall call : calls) {
            if (!call.labels().isEmpty()) {
                throw new ConfigException(
                        "the log-probabilities of labels need a model of this process; use --verdict text with --address");
            }
        }
        AtomicInteger next = new AtomicInteger();
        AtomicReference<@Nullable Throwable> fault = new AtomicReference<>();
        Object oneAtATime = new Object();
        List<Thread> workers = new ArrayList<>();
        for (int w = 0; w < Math.min(config.concurrency(), calls.size()); w++) {
            workers.add(
                    Thread.ofVirtual()
                            .start(() -> {
                                try {
                                    int i = next.getAndIncrement();
                                    while (i < calls.size() && fault.get() == null) {
                                        ChatReply reply = reply(calls.get(i));
                                        synchronized (oneAtATime) {
                                            onReply.accept(i, reply);
                                        }
                                        i = next.getAndIncrement();
                                    }
                                } catch (Throwable t) {
                                    fault.compareAndSet(null, t);
                                }
                            }));
        }
        join(workers);
        Throwable thrown = fault.get();
        if (thrown != null) {
            throw thrown instanceof RuntimeException e ? e : new IllegalStateException(thrown);
        }
    }

    private static void join(List<Thread> workers) {
        try {
            for (Thread worker : workers) {
                worker.join();
            }
        } catch (InterruptedException e) {
            workers.forEach(Thread::interrupt);
            Thread.currentThread().interrupt();
            throw new DeviceException("interrupted; replies that came are kept", e);
        }
    }

    /** The reply to one call, after as many tries as it takes. */
    private ChatReply reply(ChatCall call) throws InterruptedException {
        HttpRequest request = request(call);
        for (int attempt = 0; ; attempt++) {
            pace.await();
            try {
                return send(request, call.raw() != null);
            } catch (HttpFailure failure) {
                count(failure.kind());
                if (!failure.kind().passes()) {
                    throw new ConfigException(String.valueOf(failure.getMessage()), failure);
                }
                if (attempt == config.retries()) {
                    throw new DeviceException(
                            "%s, after %d tries; the replies so far are kept, the same command goes on"
                                    .formatted(failure.getMessage(), attempt + 1),
                            failure);
                }
                Duration wait = failure.retryAfter();
                Duration time = wait == null ? doubled(attempt) : wait;
                if (time.compareTo(LONGEST_WAIT) > 0) {
                    Notice.say(
                            "%s asks for a wait of %d s"
                                    .formatted(config.address(), time.toSeconds()));
                }
                if (failure.kind() == HttpFailure.Kind.LIMIT) {
                    pace.pause(time);
                } else {
                    Thread.sleep(time);
                }
            }
        }
    }

    /** From half to the whole of a wait that doubles, so that many do not come back at once. */
    private Duration doubled(int attempt) {
        double whole = config.firstWait().toNanos() * Math.pow(2, attempt);
        double most = Math.min(whole, LONGEST_WAIT.toNanos());
        return Duration.ofNanos((long) (most * ThreadLocalRandom.current().nextDouble(0.5, 1)));
    }

    private HttpRequest request(ChatCall call) {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("model", config.model());
        String raw = call.raw();
        if (raw == null) {
            body.put("messages", call.messagesJson());
        } else {
            body.put("prompt", raw);
        }
        body.putAll(call.settings().json());
        URI uri =
                URI.create(config.address() + (raw == null ? "/chat/completions" : "/completions"));
        HttpRequest.Builder request =
                HttpRequest.newBuilder(uri)
                        .header("Content-Type", "application/json")
                        // the same for every try, so that a server that knows the header works once
                        .header("Idempotency-Key", call.key(identity()))
                        .POST(HttpRequest.BodyPublishers.ofByteArray(JSON.writeValueAsBytes(body)));
        if (config.key() != null) {
            request.header("Authorization", "Bearer " + config.key());
        }
        return request.build();
    }

    private ChatReply send(HttpRequest request, boolean raw)
            throws HttpFailure, InterruptedException {
        // not HttpRequest.timeout, which ends with the headers and would wait for a body forever
        CompletableFuture<HttpResponse<String>> sent =
                client.sendAsync(request, HttpResponse.BodyHandlers.ofString());
        HttpResponse<String> response;
        try {
            response = sent.get(config.timeout().toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            sent.cancel(true);
            throw new HttpFailure(
                    HttpFailure.Kind.TIMEOUT,
                    "%s gave no reply within %d s"
                            .formatted(config.address(), config.timeout().toSeconds()),
                    null);
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            if (cause instanceof IOException) {
                throw new HttpFailure(
                        HttpFailure.Kind.CONNECTION,
                        "%s cannot be reached: %s".formatted(config.address(), reason(cause)),
                        null);
            }
            throw new IllegalStateException(cause);
        }
        if (response.statusCode() != 200) {
            throw failed(response);
        }
        return parsed(response.body(), raw);
    }

    private static String reason(Throwable cause) {
        String message = cause.getMessage();
        return message == null ? cause.getClass().getSimpleName() : message;
    }

    private HttpFailure failed(HttpResponse<String> response) {
        int status = response.statusCode();
        JsonNode error = json(response.body()).path("error");
        String message =
                "%s answered %d: %s; check --address, --model and the key"
                        .formatted(
                                config.address(),
                                status,
                                shown(error.path("message").asString(response.body())));
        boolean spent = error.path("code").asString("").equals("insufficient_quota");
        HttpFailure.Kind kind =
                status == 429 && !spent
                        ? HttpFailure.Kind.LIMIT
                        : status == 408 || status == 409 || status >= 500
                                ? HttpFailure.Kind.SERVER
                                : HttpFailure.Kind.REFUSED;
        return new HttpFailure(kind, message, retryAfter(response));
    }

    /** The wait that the header names, seconds or a date; null without one. */
    private static @Nullable Duration retryAfter(HttpResponse<String> response) {
        String value = response.headers().firstValue("Retry-After").orElse("").strip();
        if (value.matches("\\d{1,6}(\\.\\d{1,6})?")) {
            return Duration.ofMillis((long) Math.ceil(Double.parseDouble(value) * 1000));
        }
        try {
            Instant until = DateTimeFormatter.RFC_1123_DATE_TIME.parse(value, Instant::from);
            Duration wait = Duration.between(Instant.now(), until);
            return wait.isNegative() ? Duration.ZERO : wait;
        } catch (DateTimeParseException e) {
            return null;
        }
    }

    private static String shown(String text) {
        String line = text.strip().replaceAll("\\s+", " ");
        return line.substring(0, Math.min(line.length(), SHOWN));
    }

    private static JsonNode json(String body) {
        try {
            return JSON.readTree(body);
        } catch (JacksonException e) {
            return JSON.missingNode();
        }
    }

    private ChatReply parsed(String body, boolean raw) throws HttpFailure {
        JsonNode json = json(body);
        JsonNode choice = json.path("choices").path(0);
        JsonNode text = raw ? choice.path("text") : choice.path("message").path("content");
        boolean empty = text.isNull() && choice.path("finish_reason").isString();
        if (!text.isString() && !empty) {
            throw new HttpFailure(
                    HttpFailure.Kind.REPLY,
                    "%s answered what is no reply of OpenAI's API: %s"
                            .formatted(config.address(), shown(body)),
                    null);
        }
        JsonNode usage = json.path("usage");
        return ChatReply.text(
                text.asString(""), // null where the other side filtered all of it
                usage.path("prompt_tokens").asInt(0),
                usage.path("completion_tokens").asInt(0),
                choice.path("finish_reason").asString(""));
    }

    private synchronized void count(HttpFailure.Kind kind) {
        failures.merge(kind, 1, Integer::sum);
    }

    @Override
    public synchronized String troubles() {
        return failures.entrySet().stream()
                .map(e -> e.getValue() + " " + e.getKey().words())
                .collect(Collectors.joining(", "));
    }

    @Override
    public void close() {
        client.shutdownNow();
    }
}

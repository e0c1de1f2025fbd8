package org.qlora4j.app.serve;

import io.helidon.common.buffers.DataReader;
import io.helidon.common.socket.SocketWriterException;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.qlora4j.BusyException;
import org.qlora4j.TextService;
import org.qlora4j.error.UserException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A {@link TextService} over HTTP: OpenAI's routes, with adapters as models of their own. What
 * prompts and answers say is never logged. A request runs on a virtual thread.
 */
public final class ApiServer implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ApiServer.class);

    private final TextService service;
    private final ApiConfig config;
    private final ApiKeys keys;
    private final OpenApi openApi = OpenApi.load();
    private final List<String> routeNames = new ArrayList<>();
    private final Metrics metrics = new Metrics();
    private final AtomicInteger underWay = new AtomicInteger();
    private final long started = System.currentTimeMillis() / 1000;
    private final Runs runs;
    private final @Nullable Training training;
    private final WebServer server;
    private volatile boolean draining;

    private ApiServer(TextService service, ApiConfig config, ApiKeys keys) {
        this.service = service;
        this.config = config;
        this.keys = keys;
        this.runs = new Runs(config.runs());
        this.training = config.training() == null ? null : new Training(config.training(), runs);
        if (training != null) {
            runs.with(training);
        }
        this.server =
                WebServer.builder()
                        .host(config.host())
                        .port(config.port())
                        .shutdownHook(false) // the command drains first
                        .shutdownGracePeriod(Duration.ofMillis(200))
                        .routing(routes())
                        .build();
    }

    /**
     * Listens from now on; the service stays its owner's.
     *
     * @throws org.qlora4j.error.ConfigException if the address cannot be listened on
     */
    public static ApiServer start(TextService service, ApiConfig config, ApiKeys keys) {
        ApiServer made = new ApiServer(service, config, keys);
        made.server.start();
        return made;
    }

    /** The port that is listened on. */
    public int port() {
        return server.port();
    }

    /** A route's work. */
    private interface Work {
        void run(ServerRequest request, ServerResponse response) throws IOException;
    }

    private HttpRouting.Builder routes() {
        ChatCompletions chat = new ChatCompletions(service, config);
        Completions completions = new Completions(service, config);
        HttpRouting.Builder routes = HttpRouting.builder();
        Embeddings embeddings = new Embeddings(service, config);
        ask(routes, "/v1/chat/completions", chat::answer);
        ask(routes, "/v1/completions", completions::answer);
        ask(routes, "/v1/embeddings", embeddings::answer);
        get(routes, "/v1/models", this::models);
        get(routes, "/v1/models/{name}", this::model);
        get(routes, "/v1/adapters", this::adapters);
        post(routes, "/v1/adapters", this::loadAdapter);
        delete(routes, "/v1/adapters/{name}", this::dropAdapter);
        get(routes, "/metrics", this::metrics);
        get(routes, "/v1/runs", (q, s) -> runs.list(s));
        get(routes, "/v1/runs/{name}", (q, s) -> runs.one(name(q), s));
        post(routes, "/v1/runs", (q, s) -> training(q).start(known(q, "/v1/runs"), s));
        post(routes, "/v1/runs/{name}/stop", this::stopRun);
        post(routes, "/v1/plans", (q, s) -> training(q).plan(known(q, "/v1/plans"), s));
        post(routes, "/v1/datasets", this::upload);
        delete(routes, "/v1/datasets/{name}", (q, s) -> training(q).drop(name(q), s));
        open(routes, "/openapi.json", this::openApi);
        page(routes, "/", Page.of("page.html", "text/html"));
        page(routes, "/page.css", Page.of("page.css", "text/css"));
        page(routes, "/page.js", Page.of("page.js", "text/javascript"));
        open(routes, "/health", this::health);
        routes.any((q, s) -> guarded("other", q, s, this::refuse));
        return routes;
    }

    private void upload(ServerRequest request, ServerResponse response) throws IOException {
        Training to = training(request);
        requireType(request, "application/octet-stream");
        String name = request.query().first("name").orElse("");
        if (name.isEmpty() || name.length() > 255) {
            throw ApiError.field("name", "name the file in the address: ?name=mails.csv");
        }
        if (!request.content().hasEntity()) {
            throw ApiError.of(400, "empty_file", "the body must be the file");
        }
        try (InputStream in = request.content().inputStream()) {
            to.upload(name, in, response);
        }
    }

    private void stopRun(ServerRequest request, ServerResponse response) throws IOException {
        Training of = training(request);
        known(request, "/v1/runs/{name}/stop"); // which no page of another site can send
        of.stop(name(request), response);
    }

    /** What starts runs, for who may do so. */
    private Training training(ServerRequest request) {
        requireTrusted(request);
        if (training == null) {
            throw ApiError.of(
                    403,
                    "training_not_allowed",
                    "runs can be started where the server has --allow-training");
        }
        return training;
    }

    private static String name(ServerRequest request) {
        return request.path().pathParameters().get("name");
    }

    /** A body that has no fields but those of the description. */
    private Fields known(ServerRequest request, String path) throws IOException {
        Fields fields = body(request);
        fields.requireOnly(openApi.fields(path));
        return fields;
    }

    /** Refuses what no route takes: another method of an address, or another address. */
    private void refuse(ServerRequest request, ServerResponse response) {
        String path = request.path().path();
        List<String> methods = new ArrayList<>();
        for (String route : routeNames) {
            String[] words = route.split(" ", 2);
            if (path.matches(words[1].replace(".", "\\.").replace("{name}", "[^/]+"))) {
                methods.add(words[0]);
            }
        }
        if (methods.isEmpty()) {
            throw ApiError.of(404, "not_found", "there is nothing at this address");
        }
        String allowed = String.join(", ", methods);
        response.header(HeaderNames.ALLOW, allowed);
        throw ApiError.of(405, "method_not_allowed", "this address takes " + allowed);
    }

    /** A route that computes. */
    private interface Asked {
        void answer(Fields fields, @Nullable String adapter, ServerResponse response);
    }

    private void ask(HttpRouting.Builder routes, String path, Asked asked) {
        post(
                routes,
                path,
                (q, s) -> {
                    Fields fields = known(q, path);
                    asked.answer(fields, adapter(fields), s);
                });
    }

    private void openApi(ServerRequest request, ServerResponse response) {
        response.header(HeaderNames.CONTENT_TYPE, "application/json");
        response.send(openApi.text());
    }

    private void get(HttpRouting.Builder routes, String path, Work work) {
        routeNames.add("GET " + path);
        String route = path.replace("/{name}", "");
        routes.get(path, (q, s) -> guarded(route, q, s, work));
    }

    /** A route that needs no key. */
    private void open(HttpRouting.Builder routes, String path, Work work) {
        routeNames.add("GET " + path);
        routes.get(path, (q, s) -> run(path, q, s, work));
    }

    private void page(HttpRouting.Builder routes, String path, Page page) {
        open(routes, path, (q, s) -> page.send(s));
    }

    /** Methods and paths that are there. */
    List<String> routeNames() {
        return List.copyOf(routeNames);
    }

    private void post(HttpRouting.Builder routes, String path, Work work) {
        routeNames.add("POST " + path);
        routes.post(path, (q, s) -> guarded(path, q, s, work));
    }

    private void delete(HttpRouting.Builder routes, String path, Work work) {
        routeNames.add("DELETE " + path);
        String route = path.replace("/{name}", "");
        routes.delete(path, (q, s) -> guarded(route, q, s, work));
    }

    /** Runs a route's work for who bears a key. */
    private void guarded(String route, ServerRequest request, ServerResponse response, Work work) {
        run(
                route,
                request,
                response,
                (q, s) -> {
                    if (!keys.allow(q.headers().first(HeaderNames.AUTHORIZATION).orElse(null))) {
                        throw ApiError.of(
                                401, "invalid_api_key", "give a key: Authorization: Bearer KEY");
                    }
                    work.run(q, s);
                });
    }

    /** Runs a route's work and makes whatever it throws a reply. */
    private void run(String route, ServerRequest request, ServerResponse response, Work work) {
        long start = System.nanoTime();
        int status = 200;
        underWay.incrementAndGet();
        try {
            work.run(request, response);
        } catch (ApiError e) {
            status = reply(response, e);
        } catch (BusyException e) {
            response.header(HeaderNames.RETRY_AFTER, "1");
            status =
                    reply(
                            response,
                            draining
                                    ? ApiError.of(
                                            503, "shutting_down", String.valueOf(e.getMessage()))
                                    : ApiError.of(
                                            429, "queue_full", String.valueOf(e.getMessage())));
        } catch (UserException e) {
            status =
                    reply(
                            response,
                            ApiError.of(400, "invalid_request", String.valueOf(e.getMessage())));
        } catch (IOException
                | UncheckedIOException
                | SocketWriterException
                | DataReader.InsufficientDataAvailableException
                | CloseConnectionException e) {
            status = 499; // the client has gone
        } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
            LOG.warn("{} failed: {}", route, where(e));
            status =
                    reply(
                            response,
                            ApiError.of(500, "internal_error", "the server made a mistake"));
        } finally {
            underWay.decrementAndGet();
            metrics.count(route, status, (System.nanoTime() - start) / 1e9);
        }
        if (request.headers().contains(HeaderValues.CONNECTION_CLOSE)) {
            // Helidon says that it closes and does not; who reads to the end would wait for ever
            throw new CloseConnectionException("the client asked for it");
        }
    }

    private static int reply(ServerResponse response, ApiError error) {
        if (!response.isSent()) {
            Reply.json(response, error.status(), error.json());
        }
        return error.status();
    }

    /** The next event of a stream; null once a failure was told, which ends it. */
    static Choices.@Nullable Event nextOrTell(Choices choices, Reply.Events events) {
        try {
            return choices.next();
        } catch (ApiError e) {
            events.send(e.json());
        } catch (UserException e) {
            events.send(ApiError.of(400, "invalid_request", String.valueOf(e.getMessage())).json());
        } catch (RuntimeException e) {
            LOG.warn("a stream failed: {}", where(e));
            events.send(ApiError.of(500, "internal_error", "the server made a mistake").json());
        }
        return null;
    }

    /** What failed and where, without its message, which may quote a prompt. */
    private static String where(Throwable failure) {
        StackTraceElement[] trace = failure.getStackTrace();
        return failure.getClass().getName() + (trace.length == 0 ? "" : " at " + trace[0]);
    }

    static String newId(String prefix) {
        byte[] bytes = new byte[12];
        ThreadLocalRandom.current().nextBytes(bytes);
        return prefix + HexFormat.of().formatHex(bytes);
    }

    /** A type that no page of another site can send unasked. */
    private static void requireType(ServerRequest request, String wanted) {
        String type =
                request.headers()
                        .first(HeaderNames.CONTENT_TYPE)
                        .orElse("")
                        .toLowerCase(Locale.ROOT);
        if (!type.startsWith(wanted)) {
            throw ApiError.of(415, "unsupported_media_type", "send Content-Type: " + wanted);
        }
    }

    private Fields body(ServerRequest request) throws IOException {
        requireType(request, "application/json");
        int most = config.maxBodyBytes();
        byte[] bytes = {};
        if (request.content().hasEntity()) {
            try (InputStream in = request.content().inputStream()) {
                bytes = in.readNBytes(most + 1);
            }
        }
        if (bytes.length > most) {
            throw ApiError.of(413, "too_large", "a request may have %d bytes".formatted(most));
        }
        return Fields.parse(bytes);
    }

    /** The adapter that a request's {@code model} names; null for the base model. */
    private @Nullable String adapter(Fields fields) {
        String name = fields.text("model");
        if (name == null || name.equals(config.modelName())) {
            return null;
        }
        if (!service.adapters().contains(name)) {
            throw ApiError.of(
                    404,
                    "model_not_found",
                    "there is no such model; GET /v1/models lists those there are");
        }
        return name;
    }

    private Map<String, @Nullable Object> entry(String name, boolean isBase) {
        Map<String, @Nullable Object> out = new LinkedHashMap<>();
        out.put("id", name);
        out.put("object", "model");
        out.put("created", started);
        out.put("owned_by", "qlora4j");
        out.put("parent", isBase ? null : config.modelName());
        out.put("max_model_len", service.contextLength());
        return out;
    }

    private static Map<String, Object> entry(TextService.AdapterState adapter) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("name", adapter.name());
        out.put("loaded", adapter.loaded());
        out.put("bytes", adapter.bytes());
        return out;
    }

    private void models(ServerRequest request, ServerResponse response) {
        List<Object> all = new ArrayList<>();
        all.add(entry(config.modelName(), true));
        for (TextService.AdapterState adapter : service.adapterStates()) {
            Map<String, @Nullable Object> entry = entry(adapter.name(), false);
            entry.put("loaded", adapter.loaded());
            all.add(entry);
        }
        Reply.json(response, 200, Map.of("object", "list", "data", all));
    }

    private void model(ServerRequest request, ServerResponse response) {
        String name = name(request);
        boolean isBase = name.equals(config.modelName());
        if (!isBase && !service.adapters().contains(name)) {
            throw ApiError.of(404, "model_not_found", "there is no such model");
        }
        Reply.json(response, 200, entry(name, isBase));
    }

    private void adapters(ServerRequest request, ServerResponse response) {
        List<Map<String, Object>> all =
                service.adapterStates().stream().map(ApiServer::entry).toList();
        Reply.json(response, 200, Map.of("object", "list", "data", all));
    }

    private void loadAdapter(ServerRequest request, ServerResponse response) throws IOException {
        requireTrusted(request);
        Fields fields = known(request, "/v1/adapters");
        String name = fields.required("name");
        if (!name.matches("[\\w.:-]{1,64}") || name.equals(config.modelName())) {
            throw ApiError.field(
                    "name",
                    "name must be 1 to 64 letters, digits, dots, colons or dashes, and new");
        }
        try {
            service.load(name, Path.of(fields.required("path")));
        } catch (InvalidPathException e) {
            throw ApiError.field("path", "path is no path");
        }
        Reply.json(response, 200, Map.of("name", name));
    }

    private void dropAdapter(ServerRequest request, ServerResponse response) {
        requireTrusted(request);
        String name = name(request);
        if (!service.adapters().contains(name)) {
            throw ApiError.of(404, "adapter_not_found", "there is no such adapter");
        }
        service.drop(name);
        Reply.json(response, 200, Map.of("name", name, "deleted", true));
    }

    /**
     * Folders are read, and runs started, for who is on this machine or bears a key. A page of
     * another site whose name leads to this machine is neither.
     */
    private void requireTrusted(ServerRequest request) {
        String host = request.authority().replaceFirst(":\\d+$", "");
        if (keys.isEmpty() && !(config.isLoopback() && ApiConfig.isLoopback(host))) {
            throw ApiError.of(
                    403,
                    "keys_needed",
                    "adapters and runs can be changed from this machine (by the name localhost), or where the server has --api-keys");
        }
    }

    private void health(ServerRequest request, ServerResponse response) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("status", draining ? "draining" : "ok");
        out.put("running", service.running());
        out.put("waiting", service.waiting());
        Reply.json(response, draining ? 503 : 200, out);
    }

    private void metrics(ServerRequest request, ServerResponse response) {
        response.header(HeaderNames.CONTENT_TYPE, "text/plain; version=0.0.4");
        response.send(metrics.text(service));
    }

    /**
     * Takes no more requests, and waits for those under way.
     *
     * @return whether all of them ended in time
     */
    public boolean drain(Duration most) throws InterruptedException {
        draining = true;
        service.drain();
        if (training != null) {
            training.drain();
        }
        long end = System.nanoTime() + most.toNanos();
        while (underWay.get() > 0 && System.nanoTime() < end) {
            Thread.sleep(20);
        }
        return underWay.get() == 0;
    }

    /** Listens no more, and waits until a run that was started here has saved. */
    @Override
    public void close() {
        server.stop();
        if (training != null) {
            training.close();
        }
    }
}

package org.qlora4j.app.serve;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.Answer;
import org.qlora4j.LanguageModel;
import org.qlora4j.Prompt;
import org.qlora4j.ServiceConfig;
import org.qlora4j.TextListener;
import org.qlora4j.TextRequest;
import org.qlora4j.TextService;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Token;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Over loopback, with a model of 27,000 weights; texts are those that transformers and PEFT give.
 */
class ApiServerTest {
    private static final Path TINY = Path.of("../core/src/test/resources/tiny-llama");
    private static final QuantConfig F32 =
            new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);
    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static final String KEY = "a-key-of-16-letters-or-more";

    @TempDir static Path temporary;

    private static LanguageModel model;
    private static TextService service;
    private static ApiServer server;
    private static JsonNode expected;

    @BeforeAll
    static void start() throws IOException {
        expected = JsonMapper.shared().readTree(Files.readAllBytes(TINY.resolve("expected.json")));
        model = LanguageModel.load(TINY, F32);
        service = model.serve(new ServiceConfig(3, 16, 200));
        service.load("pirate", TINY.resolve("adapter"));
        server =
                ApiServer.start(
                        service,
                        ApiConfig.DEFAULT.at("127.0.0.1", 0, "tiny").showing(temporary),
                        ApiKeys.NONE);
    }

    @AfterAll
    static void stop() throws InterruptedException {
        assertThat(server.drain(Duration.ofSeconds(20))).isTrue();
        server.close();
        service.close();
        model.close();
    }

    private static HttpRequest.Builder request(ApiServer to, String path) {
        return HttpRequest.newBuilder(
                URI.create("http://127.0.0.1:%d%s".formatted(to.port(), path)));
    }

    private static HttpResponse<String> post(ApiServer to, String path, String body)
            throws IOException, InterruptedException {
        return CLIENT.send(
                request(to, path)
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body))
                        .build(),
                BodyHandlers.ofString());
    }

    private static JsonNode posted(String path, String body)
            throws IOException, InterruptedException {
        HttpResponse<String> response = post(server, path, body);
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        return JsonMapper.shared().readTree(response.body());
    }

    private static HttpResponse<String> get(String path) throws IOException, InterruptedException {
        return get(server, path);
    }

    private static HttpResponse<String> get(ApiServer from, String path)
            throws IOException, InterruptedException {
        return CLIENT.send(request(from, path).build(), BodyHandlers.ofString());
    }

    private static String chat(JsonNode chat, String model, String more) {
        return """
        {"model": "%s", "messages": %s, "temperature": 0, "max_tokens": 24%s}
        """
                .formatted(model, chat.get("messages"), more);
    }

    @ParameterizedTest
    @CsvSource({"tiny, chats", "pirate, adapter_chats"})
    void chats_areAnsweredAsByTransformersAndPeft(String name, String key) throws Exception {
        for (JsonNode chat : expected.get(key)) {
            JsonNode reply = posted("/v1/chat/completions", chat(chat, name, ""));
            assertThat(reply.get("object").asString()).isEqualTo("chat.completion");
            assertThat(reply.get("model").asString()).isEqualTo(name);
            JsonNode choice = reply.get("choices").get(0);
            assertThat(choice.get("message").get("content").asString())
                    .isEqualTo(chat.get("text").asString());
            assertThat(choice.get("message").get("role").asString()).isEqualTo("assistant");
            boolean cut = chat.get("new_ids").size() == 24;
            assertThat(choice.get("finish_reason").asString()).isEqualTo(cut ? "length" : "stop");
            JsonNode usage = reply.get("usage");
            assertThat(usage.get("prompt_tokens").asInt()).isEqualTo(chat.get("ids").size());
            assertThat(usage.get("completion_tokens").asInt())
                    .isEqualTo(chat.get("new_ids").size());
            assertThat(usage.get("total_tokens").asInt())
                    .isEqualTo(chat.get("ids").size() + chat.get("new_ids").size());
        }
    }

    private static List<String> events(String body) {
        List<String> out = new ArrayList<>();
        for (String event : body.split("\n\n", -1)) {
            if (!event.isEmpty()) {
                assertThat(event).startsWith("data: ").doesNotContain("\n");
                out.add(event.substring(6));
            }
        }
        return out;
    }

    @Test
    void streamedChat_isTheAnswerInPieces() throws Exception {
        JsonNode chat = expected.get("chats").get(0);
        HttpResponse<String> response =
                post(
                        server,
                        "/v1/chat/completions",
                        chat(
                                chat,
                                "tiny",
                                ", \"stream\": true, \"stream_options\": {\"include_usage\": true}"));
        assertThat(response.headers().firstValue("Content-Type").orElse(""))
                .startsWith("text/event-stream");
        List<String> events = events(response.body());
        assertThat(events.removeLast()).isEqualTo("[DONE]");
        StringBuilder text = new StringBuilder();
        List<String> reasons = new ArrayList<>();
        JsonNode last = JsonMapper.shared().readTree(events.removeLast());
        assertThat(last.get("choices").isEmpty()).isTrue();
        assertThat(last.get("usage").get("completion_tokens").asInt()).isEqualTo(24);
        assertThat(events.size()).isGreaterThan(5);
        for (String event : events) {
            JsonNode choice = JsonMapper.shared().readTree(event).get("choices").get(0);
            text.append(choice.get("delta").path("content").asString(""));
            if (!choice.get("finish_reason").isNull()) {
                reasons.add(choice.get("finish_reason").asString());
            }
        }
        assertThat(text.toString()).isEqualTo(chat.get("text").asString());
        assertThat(reasons).containsExactly("length");
    }

    @Test
    void completions_continueTextsAndIds() throws Exception {
        JsonNode raw = expected.get("raw");
        String body =
                """
                {"prompt": [%s, %s], "temperature": 0, "max_tokens": 24}
                """
                        .formatted(raw.get(0).get("prompt"), raw.get(1).get("prompt"));
        JsonNode reply = posted("/v1/completions", body);
        for (int i = 0; i < 2; i++) {
            JsonNode choice = reply.get("choices").get(i);
            assertThat(choice.get("index").asInt()).isEqualTo(i);
            assertThat(choice.get("text").asString()).isEqualTo(raw.get(i).get("text").asString());
            String ids =
                    "{\"prompt\": %s, \"temperature\": 0, \"max_tokens\": 24}"
                            .formatted(raw.get(i).get("ids"));
            assertThat(posted("/v1/completions", ids).get("choices").get(0).get("text").asString())
                    .isEqualTo(raw.get(i).get("text").asString());
        }
    }

    /** Prompt and answer have the log-probabilities that the prompt alone would have. */
    @Test
    void echoWithLogprobs_givesThoseOfThePrompt() throws Exception {
        JsonNode raw = expected.get("raw").get(0);
        String answered =
                """
                {"prompt": %s, "temperature": 0, "max_tokens": 6, "logprobs": 3, "echo": %s}
                """;
        JsonNode whole =
                posted("/v1/completions", answered.formatted(raw.get("ids"), true))
                        .get("choices")
                        .get(0);
        JsonNode answer =
                posted("/v1/completions", answered.formatted(raw.get("ids"), false))
                        .get("choices")
                        .get(0)
                        .get("logprobs");
        JsonNode logprobs = whole.get("logprobs");
        int prompt = raw.get("ids").size();
        assertThat(logprobs.get("tokens").size()).isEqualTo(prompt + 6);
        assertThat(logprobs.get("token_logprobs").get(0).isNull()).isTrue();
        assertThat(logprobs.get("top_logprobs").get(0).isNull()).isTrue();
        List<Integer> ids = new ArrayList<>();
        raw.get("ids").forEach(id -> ids.add(id.asInt()));
        for (int i = 0; i < 6; i++) {
            ids.add(raw.get("new_ids").get(i).asInt());
            assertThat(logprobs.get("token_logprobs").get(prompt + i).asDouble())
                    .isEqualTo(answer.get("token_logprobs").get(i).asDouble());
        }
        // the answer's tokens as part of a prompt: read at once in place of one by one
        JsonNode again =
                posted(
                                "/v1/completions",
                                "{\"prompt\": %s, \"max_tokens\": 0, \"logprobs\": 1, \"echo\": true}"
                                        .formatted(ids))
                        .get("choices")
                        .get(0)
                        .get("logprobs");
        assertThat(again.get("tokens").size()).isEqualTo(prompt + 6);
        for (int i = 1; i < prompt + 6; i++) {
            assertThat(again.get("token_logprobs").get(i).asDouble())
                    .isCloseTo(
                            logprobs.get("token_logprobs").get(i).asDouble(),
                            org.assertj.core.data.Offset.offset(1e-4));
        }
    }

    /** The token that ends an answer is none of its text, and counts among those with scores. */
    @Test
    void logprobs_holdTheTokenThatEnds() throws Exception {
        JsonNode raw = expected.get("raw").get(0);
        int end = raw.get("new_ids").get(0).asInt();
        String body =
                """
                {"prompt": %s, "temperature": 0, "max_tokens": 1, "logprobs": 1, "echo": true%s}
                """;
        JsonNode going =
                posted("/v1/completions", body.formatted(raw.get("ids"), "")).get("choices").get(0);
        String stops = ", \"stop_token_ids\": [%d]".formatted(end);
        JsonNode ended =
                posted("/v1/completions", body.formatted(raw.get("ids"), stops))
                        .get("choices")
                        .get(0);
        assertThat(ended.get("finish_reason").asString()).isEqualTo("stop");
        assertThat(ended.get("logprobs").get("token_logprobs"))
                .isEqualTo(going.get("logprobs").get("token_logprobs"));
        assertThat(going.get("text").asString())
                .startsWith(ended.get("text").asString())
                .isNotEqualTo(ended.get("text").asString());
    }

    @Test
    void severalAnswers_followTheirSeeds() throws Exception {
        String body =
                """
                {"prompt": "Once", "max_tokens": 12, "n": 3, "seed": 5, "temperature": 1.5}
                """;
        JsonNode first = posted("/v1/completions", body).get("choices");
        JsonNode second = posted("/v1/completions", body).get("choices");
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            texts.add(first.get(i).get("text").asString());
            assertThat(second.get(i).get("text").asString()).isEqualTo(texts.get(i));
        }
        assertThat(texts).doesNotHaveDuplicates();
    }

    @Test
    void stop_endsBeforeTheText() throws Exception {
        JsonNode raw = expected.get("raw").get(0);
        String text = raw.get("text").asString();
        String stop = text.substring(3, 5);
        JsonNode choice =
                posted(
                                "/v1/completions",
                                "{\"prompt\": %s, \"temperature\": 0, \"max_tokens\": 24, \"stop\": %s}"
                                        .formatted(
                                                raw.get("prompt"),
                                                JsonMapper.shared().writeValueAsString(stop)))
                        .get("choices")
                        .get(0);
        assertThat(choice.get("text").asString()).isEqualTo(text.substring(0, text.indexOf(stop)));
        assertThat(choice.get("finish_reason").asString()).isEqualTo("stop");
    }

    /** Thirty clients at once on three rows, with and without the adapter. */
    @Test
    void manyAtOnce_getTheirOwnAnswers() throws Exception {
        List<CompletableFuture<String>> replies = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            JsonNode chat = expected.get(i % 2 == 0 ? "chats" : "adapter_chats").get(i / 2 % 2);
            HttpRequest request =
                    request(server, "/v1/chat/completions")
                            .header("Content-Type", "application/json")
                            .POST(
                                    HttpRequest.BodyPublishers.ofString(
                                            chat(chat, i % 2 == 0 ? "tiny" : "pirate", "")))
                            .build();
            replies.add(
                    CLIENT.sendAsync(request, BodyHandlers.ofString())
                            .thenApply(HttpResponse::body));
        }
        for (int i = 0; i < 30; i++) {
            JsonNode chat = expected.get(i % 2 == 0 ? "chats" : "adapter_chats").get(i / 2 % 2);
            JsonNode reply = JsonMapper.shared().readTree(replies.get(i).get());
            assertThat(reply.path("choices").path(0).path("message").path("content").asString(""))
                    .as("%s", reply)
                    .isEqualTo(chat.get("text").asString());
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "/v1/chat/completions|{|400|the body must be JSON",
                "/v1/chat/completions|[]|400|the body must be a JSON object",
                "/v1/chat/completions|{}|400|messages must be a list of at least one message",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"model\": \"no\"}|404|there is no such model",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"temperature\": -1}|400|temperature must be a number from 0.0 to 100.0",
                "/v1/completions|{\"prompt\": \"a\", \"top_p\": 1BIG}|400|top_p must be a number from 0.0 to 1.0",
                "/v1/completions|{\"prompt\": \"a\", \"logit_bias\": {\"1\": 1BIG}}|400|logit_bias must map",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"tools\": [{}]}|400|each of tools must be",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]}|400|content must be text",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"user\", \"content\": 5}]}|400|content must be text",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"user\", \"content\": {\"text\": {\"text\": \"a\"}}}]}|400|content must be text",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"text\": \"a\"}]}]}|400|content must be text",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"tools\": 5}|400|tools must be a list",
                "/v1/chat/completions|{\"messages\": [5]}|400|each of messages must have a role",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"zork\", \"content\": \"a\"}]}|400|got zork, a role that is not known",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"chat_template_kwargs\": 5}|400|field chat_template_kwargs must be an object",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"stream_options\": true}|400|stream_options must be an object",
                "/v1/chat/completions|{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"guided_json\": {}}|400|the field guided_json is not known",
                "/v1/completions|{\"prompt\": \"a\", \"logit_bias\": [1]}|400|logit_bias must be an object",
                "/v1/completions|{\"prompt\": \"a\", \"seed\": 1.5}|400|seed must be an integer",
                "/v1/completions|{\"prompt\": [1, -1]}|400|the prompt holds token id -1",
                "/v1/completions|{\"prompt\": [1, 1.5]}|400|prompt must be a text",
                "/v1/completions|{\"prompt\": \"a\", \"stop_token_ids\": [1.5]}|400|stop_token_ids must be a list",
                "/v1/completions|{\"prompt\": \"a\", \"stream_options\": {\"include_usage\": 1}}|400|include_usage must be true or false",
                "/v1/completions|{\"prompt\": [1, 1e99]}|400|prompt must be a text",
                "/v1/completions|{}|400|prompt is missing",
                "/v1/completions|{\"prompt\": []}|400|prompt is missing",
                "/v1/completions|{\"prompt\": [9999.0]}|400|the prompt holds token id 9999",
                "/v1/completions|{\"prompt\": [9999]}|400|the prompt holds token id 9999",
                "/v1/completions|{\"prompt\": \"a\", \"n\": 0}|400|n must be from 1 to 128",
                "/v1/completions|{\"prompt\": \"a\", \"max_tokens\": \"b\"}|400|max_tokens must be an integer",
                "/v1/adapters|{\"name\": \"x\", \"path\": \"/nowhere\"}|400|/nowhere is no folder",
                "/v1/adapters|{\"name\": \"pirate\", \"path\": \"/nowhere\"}|400|there is an adapter pirate already",
                "/v1/adapters|{\"name\": \"x\", \"path\": \"y\", \"dir\": \"z\"}|400|the field dir is not known",
                "/v1/plans|{\"dataset\": \"data-1.csv\"}|403|runs can be started where the server has --allow-training",
                "/v1/runs|{\"dataset\": \"data-1.csv\", \"name\": \"a\"}|403|--allow-training",
                "/v1/runs/a/stop|{}|403|--allow-training",
                "/v1/datasets?name=a.csv|{}|403|--allow-training",
                "/v1/models/tiny|{}|405|this address takes GET",
                "/v1/nothing|{}|404|there is nothing at this address",
            })
    void badRequests_areToldInOpenAisForm(String path, String body, int status, String message)
            throws Exception {
        HttpResponse<String> response = post(server, path, body.replace("BIG", "0".repeat(330)));
        assertThat(response.statusCode()).as(response.body()).isEqualTo(status);
        JsonNode error = JsonMapper.shared().readTree(response.body()).get("error");
        assertThat(error.get("message").asString()).contains(message);
        assertThat(error.get("type").asString()).isNotEmpty();
        assertThat(error.has("param")).isTrue();
        assertThat(error.has("code")).isTrue();
    }

    @Test
    void promptBeyondTheContext_isRefused() throws Exception {
        HttpResponse<String> response =
                post(server, "/v1/completions", "{\"prompt\": \"%s\"}".formatted("a".repeat(500)));
        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(response.body()).contains("context of 64");
    }

    @Test
    void requestOfAPage_isRefused() throws Exception {
        HttpRequest plain =
                request(server, "/v1/completions")
                        .header("Content-Type", "text/plain")
                        .POST(HttpRequest.BodyPublishers.ofString("{\"prompt\": \"a\"}"))
                        .build();
        assertThat(CLIENT.send(plain, BodyHandlers.ofString()).statusCode()).isEqualTo(415);
        assertThat(get("/v1/models").headers().firstValue("Access-Control-Allow-Origin")).isEmpty();
    }

    @Test
    void oversizedBody_isRefused() throws Exception {
        ApiConfig small = new ApiConfig("127.0.0.1", 0, "tiny", 1024, Duration.ofSeconds(5));
        try (ApiServer other = ApiServer.start(service, small, ApiKeys.NONE)) {
            String body = "{\"prompt\": \"%s\"}".formatted("a".repeat(2000));
            assertThat(post(other, "/v1/completions", body).statusCode()).isEqualTo(413);
        }
    }

    @Test
    void modelsAdaptersHealthAndMetrics_sayWhatIsThere() throws Exception {
        JsonNode models = JsonMapper.shared().readTree(get("/v1/models").body()).get("data");
        assertThat(models.get(0).get("id").asString()).isEqualTo("tiny");
        assertThat(models.get(0).get("max_model_len").asInt()).isEqualTo(64);
        assertThat(models.get(1).get("id").asString()).isEqualTo("pirate");
        assertThat(models.get(1).get("parent").asString()).isEqualTo("tiny");
        assertThat(get("/v1/models/pirate").statusCode()).isEqualTo(200);
        assertThat(get("/v1/models/none").statusCode()).isEqualTo(404);
        assertThat(get("/health").body()).contains("\"status\":\"ok\"");
        assertThat(get("/metrics").body())
                .contains("http_server_requests_total{route=\"/v1/models\",status=\"200\"}")
                .contains("qlora_generated_tokens_total");
    }

    /** As the oldest clients do: the end of the answer is the end of the connection. */
    @ParameterizedTest
    @ValueSource(strings = {"/health", "/v1/models", "/v1/nothing"})
    void connection_isClosedWhereTheClientAsks(String path) throws Exception {
        try (Socket socket = new Socket("127.0.0.1", server.port())) {
            socket.setSoTimeout(20_000);
            String request =
                    "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".formatted(path);
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            byte[] all = socket.getInputStream().readAllBytes();
            assertThat(new String(all, StandardCharsets.UTF_8))
                    .startsWith("HTTP/1.1 ")
                    .endsWith("}");
        }
    }

    /** Its body was announced and never came: that is no mistake of the server. */
    @Test
    void clientThatGoesBeforeItsBody_isCountedAsGone() throws Exception {
        String request =
                "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{";
        try (Socket socket = new Socket("127.0.0.1", server.port())) {
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
        }
        String counted = "{route=\"/v1/completions\",status=\"499\"}";
        for (int i = 0; i < 400 && !get("/metrics").body().contains(counted); i++) {
            Thread.sleep(50);
        }
        assertThat(get("/metrics").body())
                .contains(counted)
                .doesNotContain("{route=\"/v1/completions\",status=\"500\"}");
    }

    /** The browser is told to take nothing from elsewhere, and nothing there is asked for. */
    @Test
    void page_needsNothingFromElsewhere() throws Exception {
        HttpResponse<String> page = get("/");
        assertThat(page.headers().firstValue("Content-Type").orElse("")).startsWith("text/html");
        assertThat(page.headers().firstValue("Content-Security-Policy").orElse(""))
                .startsWith("default-src 'none'; script-src 'self'; style-src 'self'");
        for (String body : List.of(page.body(), get("/page.css").body(), get("/page.js").body())) {
            assertThat(body.replace("http://www.w3.org/2000/svg", ""))
                    .doesNotContain("://", "@import");
        }
        assertThat(get("/page.js").headers().firstValue("Content-Type").orElse(""))
                .startsWith("text/javascript");
    }

    @Test
    void runsOfTheFolder_areToldAsFarAsTheyAre() throws Exception {
        Path run = Files.createDirectories(temporary.resolve("mine"));
        Files.writeString(
                run.resolve("metrics.jsonl"),
                "{\"step\":1,\"loss\":2.5}\n{\"step\":1,\"eval_loss\":3}\n{\"step\":2,\"lo");
        Files.writeString(run.resolve("samples.jsonl"), "{\"step\":1,\"answer\":\"a\"}\n");
        JsonNode list = JsonMapper.shared().readTree(get("/v1/runs").body()).get("data");
        assertThat(list.size()).isEqualTo(1);
        assertThat(list.get(0).get("name").asString()).isEqualTo("mine");
        assertThat(list.get(0).get("last").get("loss").asDouble()).isEqualTo(2.5);
        JsonNode one = JsonMapper.shared().readTree(get("/v1/runs/mine").body());
        assertThat(one.get("metrics").size()).isEqualTo(2);
        assertThat(one.get("samples").get(0).get("answer").asString()).isEqualTo("a");
        assertThat(get("/v1/runs/none").statusCode()).isEqualTo(404);
        assertThat(get("/v1/runs/..%2F..").statusCode()).isEqualTo(404);
    }

    @Test
    void adapter_canBeLoadedAndDroppedWhileServing() throws Exception {
        String body =
                "{\"name\": \"second\", \"path\": %s}"
                        .formatted(
                                JsonMapper.shared()
                                        .writeValueAsString(TINY.resolve("adapter").toString()));
        posted("/v1/adapters", body);
        JsonNode chat = expected.get("adapter_chats").get(0);
        JsonNode reply = posted("/v1/chat/completions", chat(chat, "second", ""));
        assertThat(reply.get("choices").get(0).get("message").get("content").asString())
                .isEqualTo(chat.get("text").asString());
        HttpResponse<String> dropped =
                CLIENT.send(
                        request(server, "/v1/adapters/second").DELETE().build(),
                        BodyHandlers.ofString());
        assertThat(dropped.statusCode()).isEqualTo(200);
        HttpResponse<String> notAllowed =
                CLIENT.send(
                        request(server, "/v1/adapters").DELETE().build(), BodyHandlers.ofString());
        assertThat(notAllowed.statusCode()).isEqualTo(405);
        assertThat(notAllowed.headers().firstValue("Allow")).hasValue("GET, POST");
        assertThat(post(server, "/v1/chat/completions", chat(chat, "second", "")).statusCode())
                .isEqualTo(404);
    }

    @Test
    void keys_areNeededWhereThereAreSome() throws Exception {
        Path file = temporary.resolve("keys");
        Files.writeString(file, "# one a line\n\n" + KEY + "\n");
        ApiConfig config = ApiConfig.DEFAULT.at("127.0.0.1", 0, "tiny");
        try (ApiServer other = ApiServer.start(service, config, ApiKeys.read(file))) {
            assertThat(statusWithKey(other, null)).isEqualTo(401);
            assertThat(statusWithKey(other, "Bearer " + KEY + "x")).isEqualTo(401);
            assertThat(statusWithKey(other, KEY)).isEqualTo(401);
            assertThat(statusWithKey(other, "Bearer " + KEY)).isEqualTo(200);
        }
    }

    private static int statusWithKey(ApiServer other, @Nullable String header) throws Exception {
        HttpRequest.Builder request = request(other, "/v1/models");
        if (header != null) {
            request.header("Authorization", header);
        }
        return CLIENT.send(request.build(), BodyHandlers.ofString()).statusCode();
    }

    /** One row and no queue: the second request is told to come again, one for two answers not. */
    @Test
    void fullQueue_isToldWithRetryAfter() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch told = new CountDownLatch(1);
        TextListener slow =
                new TextListener() {
                    @Override
                    public void token(Token token, String text) {
                        begun.countDown();
                        try {
                            assertThat(told.await(60, TimeUnit.SECONDS)).isTrue();
                        } catch (InterruptedException e) {
                            Thread.currentThread().interrupt();
                        }
                    }

                    @Override
                    public void ended(String rest, Answer answer) {}

                    @Override
                    public void failed(RuntimeException failure) {}
                };
        try (LanguageModel own = LanguageModel.load(TINY, F32);
                TextService busy = own.serve(new ServiceConfig(1, 16, 0));
                ApiServer other =
                        ApiServer.start(
                                busy, ApiConfig.DEFAULT.at("127.0.0.1", 0, "tiny"), ApiKeys.NONE)) {
            busy.submit(new TextRequest(null, new Prompt.Raw("a"), GenerationConfig.DEFAULT), slow);
            assertThat(begun.await(60, TimeUnit.SECONDS)).isTrue();
            HttpResponse<String> response = post(other, "/v1/completions", "{\"prompt\": \"a\"}");
            HttpResponse<String> more =
                    post(other, "/v1/completions", "{\"prompt\": [\"a\", \"b\"]}");
            told.countDown();
            assertThat(response.statusCode()).as(response.body()).isEqualTo(429);
            assertThat(response.headers().firstValue("Retry-After")).isPresent();
            assertThat(more.statusCode()).as(more.body()).isEqualTo(400);
            assertThat(more.body()).contains("asks for 2 answers, and this server takes 1 at once");
        }
    }

    /** Memory for one adapter and one short text: what is refused, listed and counted. */
    @Test
    void littleMemory_isToldInRepliesAndMetrics() throws Exception {
        ServiceConfig config = new ServiceConfig(2, 16, 8).withMemory(12_000, 5_000);
        try (LanguageModel own = LanguageModel.load(TINY, F32);
                TextService texts = own.serve(config);
                ApiServer other =
                        ApiServer.start(
                                texts,
                                ApiConfig.DEFAULT.at("127.0.0.1", 0, "tiny"),
                                ApiKeys.NONE)) {
            long bytes = 0;
            for (String name : List.of("one", "two")) {
                texts.load(name, TINY.resolve("adapter"));
                bytes = texts.adapterStates().getLast().bytes();
            }
            assertThat(bytes).isBetween(2_501L, 5_000L);
            HttpResponse<String> refused =
                    post(other, "/v1/completions", "{\"prompt\": \"a\", \"max_tokens\": 50}");
            assertThat(refused.statusCode()).isEqualTo(400);
            JsonNode error = JsonMapper.shared().readTree(refused.body()).get("error");
            assertThat(error.get("message").asString())
                    .contains("do not fit into the key-value cache, which holds 32 positions");
            JsonNode chat = expected.get("adapter_chats").get(0);
            String body = chat(chat, "one", "").replace("24", "4");
            HttpResponse<String> answer = post(other, "/v1/chat/completions", body);
            assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
            String listed = get(other, "/v1/adapters").body();
            assertThat(listed)
                    .contains("{\"name\":\"one\",\"loaded\":true,\"bytes\":%d}".formatted(bytes))
                    .contains("{\"name\":\"two\",\"loaded\":false,\"bytes\":%d}".formatted(bytes));
            assertThat(get(other, "/v1/models").body()).contains("\"loaded\":false");
            assertThat(get(other, "/metrics").body())
                    .contains("qlora_kv_cache_limit_bytes 12000\n")
                    .contains("qlora_adapter_bytes %d\n".formatted(bytes))
                    .contains("qlora_adapters 2\n")
                    .contains("qlora_adapters_evicted_total 2\n");
        }
    }

    /** A client that closes its stream ends its answer, and the row is free for others. */
    @Test
    void goneClient_endsItsAnswer() throws Exception {
        try (LanguageModel own = LanguageModel.load(TINY, F32);
                TextService texts = own.serve(new ServiceConfig(1, 16, 4));
                ApiServer other =
                        ApiServer.start(
                                texts,
                                ApiConfig.DEFAULT.at("127.0.0.1", 0, "tiny"),
                                ApiKeys.NONE)) {
            for (int i = 0; i < 20; i++) {
                HttpRequest request =
                        request(other, "/v1/completions")
                                .header("Content-Type", "application/json")
                                .POST(
                                        HttpRequest.BodyPublishers.ofString(
                                                "{\"prompt\": \"a\", \"stream\": true,"
                                                        + " \"max_tokens\": 60, \"min_tokens\": 60}"))
                                .build();
                HttpResponse<InputStream> response =
                        CLIENT.send(request, BodyHandlers.ofInputStream());
                try (InputStream in = response.body()) {
                    assertThat(new String(in.readNBytes(5), StandardCharsets.UTF_8))
                            .isEqualTo("data:");
                }
            }
            HttpResponse<String> after =
                    post(other, "/v1/completions", "{\"prompt\": \"a\", \"max_tokens\": 2}");
            assertThat(after.statusCode()).isEqualTo(200);
            assertThat(other.drain(Duration.ofSeconds(20))).isTrue();
            assertThat(post(other, "/v1/completions", "{\"prompt\": \"a\"}").statusCode())
                    .isEqualTo(503);
        }
    }
}

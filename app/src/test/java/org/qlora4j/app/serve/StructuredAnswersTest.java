package org.qlora4j.app.serve;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.LanguageModel;
import org.qlora4j.ServiceConfig;
import org.qlora4j.TextService;
import org.qlora4j.grammar.ToolForm;
import org.qlora4j.grammar.ToolStream;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * JSON of a schema, calls of tools and embeddings over loopback, with a template of Qwen's form.
 */
class StructuredAnswersTest {
    private static final Path RESOURCES = Path.of("../core/src/test/resources");
    private static final Path TINY = RESOURCES.resolve("tiny-llama");
    private static final QuantConfig F32 =
            new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);
    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static final String TEMPLATE =
            """
            {%- for t in tools or [] %}{{ t.function.name }}{% endfor -%}
            {%- for m in messages %}{{ m.content }}{%- for c in m.tool_calls or [] -%}
            <tool_call>{{ c.function.name }}{{ c.function.arguments.a }}</tool_call>{% endfor -%}
            {% endfor -%}
            """;
    private static final String TOOLS =
            """
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object",
              "properties": {"a": {"type": "boolean"}}, "required": ["a"]}}}]
            """;

    @TempDir static Path folder;

    private static LanguageModel model;
    private static TextService service;
    private static ApiServer server;

    @BeforeAll
    static void start() throws Exception {
        for (String name :
                List.of(
                        "config.json",
                        "model.safetensors",
                        "tokenizer.json",
                        "tokenizer_config.json")) {
            Files.copy(TINY.resolve(name), folder.resolve(name));
        }
        Files.writeString(folder.resolve("chat_template.jinja"), TEMPLATE);
        model = LanguageModel.load(folder, F32);
        service = model.serve(new ServiceConfig(3, 16, 50));
        service.load("pirate", TINY.resolve("adapter"));
        server =
                ApiServer.start(
                        service, ApiConfig.DEFAULT.at("127.0.0.1", 0, "tiny"), ApiKeys.NONE);
    }

    @AfterAll
    static void stop() throws Exception {
        assertThat(server.drain(Duration.ofSeconds(20))).isTrue();
        server.close();
        service.close();
        model.close();
    }

    private static HttpResponse<String> send(String path, String body) throws Exception {
        return CLIENT.send(
                HttpRequest.newBuilder(
                                URI.create("http://127.0.0.1:%d%s".formatted(server.port(), path)))
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body))
                        .build(),
                BodyHandlers.ofString());
    }

    private static JsonNode posted(String path, String body) throws Exception {
        HttpResponse<String> response = send(path, body);
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        return JsonMapper.shared().readTree(response.body());
    }

    private static String chat(String more) {
        return "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], %s}".formatted(more);
    }

    @ParameterizedTest
    @CsvSource({"0, 1", "1, 2", "2, 3"})
    void schema_isKeptAtEveryTemperature(double temperature, int seed) throws Exception {
        String schema =
                """
                {"type": "object", "properties": {"x": {"enum": ["a", "b"]}, "y": {"type": "boolean"}},
                 "required": ["x", "y"], "additionalProperties": false}
                """;
        JsonNode reply =
                posted(
                        "/v1/chat/completions",
                        chat(
                                """
                                "temperature": %s, "seed": %d, "n": 2, "response_format":
                                {"type": "json_schema", "json_schema": {"name": "s", "schema": %s}}
                                """
                                        .formatted(temperature, seed, schema)));
        for (JsonNode choice : reply.get("choices")) {
            String text = choice.get("message").get("content").asString();
            if (choice.get("finish_reason").asString().equals("stop")) {
                JsonNode json = JsonMapper.shared().readTree(text);
                assertThat(List.copyOf(json.propertyNames())).containsExactly("x", "y");
                assertThat(json.get("x").asString()).isIn("a", "b");
                assertThat(json.get("y").isBoolean()).isTrue();
            } else { // the model's context of 64 is full of blanks
                assertThat(text.stripLeading()).startsWith("{");
            }
        }
    }

    @Test
    void requiredTool_isCalledAndStreamed() throws Exception {
        String ask = chat(TOOLS + ", \"tool_choice\": \"required\", \"temperature\": 0");
        JsonNode choice = posted("/v1/chat/completions", ask).get("choices").get(0);
        assertThat(choice.get("finish_reason").asString()).isEqualTo("tool_calls");
        assertThat(choice.get("message").get("content").isNull()).isTrue();
        JsonNode call = choice.get("message").get("tool_calls").get(0);
        assertThat(call.get("id").asString()).hasSize(9);
        assertThat(call.get("function").get("name").asString()).isEqualTo("f");
        String arguments = call.get("function").get("arguments").asString();
        assertThat(JsonMapper.shared().readTree(arguments).get("a").isBoolean()).isTrue();

        String streamed =
                send(
                                "/v1/chat/completions",
                                ask.replace("\"temperature\"", "\"stream\": true, \"temperature\""))
                        .body();
        assertThat(streamed)
                .contains("\"tool_calls\":[{\"index\":0")
                .contains("\"finish_reason\":\"tool_calls\"")
                .doesNotContain("tool_call>");

        String answered =
                """
                {"messages": [{"role": "user", "content": "Hi"},
                 {"role": "assistant", "content": null, "tool_calls": [%s]},
                 {"role": "tool", "tool_call_id": "%s", "content": "fine"}], "max_tokens": 2, %s}
                """;
        String body = answered.formatted(call, call.get("id").asString(), TOOLS);
        assertThat(send("/v1/chat/completions", body).statusCode()).isEqualTo(200);
    }

    @Test
    void embeddings_areTransformersMeans() throws Exception {
        JsonNode expected =
                JsonMapper.shared()
                        .readTree(
                                Files.readString(
                                        RESOURCES.resolve("org/qlora4j/generate/embeddings.json")));
        for (Map.Entry<String, String> named :
                Map.of("base", "tiny", "adapter", "pirate").entrySet()) {
            String body =
                    "{\"input\": %s, \"model\": \"%s\", \"encoding_format\": \"%s\"}"
                            .formatted(expected.get("prompts"), named.getValue(), "float");
            JsonNode data = posted("/v1/embeddings", body).get("data");
            JsonNode encoded =
                    posted("/v1/embeddings", body.replace("\"float\"", "\"base64\"")).get("data");
            for (int i = 0; i < data.size(); i++) {
                JsonNode wanted = expected.get(named.getKey()).get(i);
                byte[] bytes =
                        Base64.getDecoder().decode(encoded.get(i).get("embedding").asString());
                ByteBuffer floats = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
                assertThat(data.get(i).get("embedding").size()).isEqualTo(wanted.size());
                for (int j = 0; j < wanted.size(); j++) {
                    float got = (float) data.get(i).get("embedding").get(j).asDouble();
                    assertThat(got)
                            .isCloseTo((float) wanted.get(j).asDouble(), Offset.offset(1e-5f));
                    assertThat(floats.getFloat()).isEqualTo(got);
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "\"temprature\": 1|the field temprature is not known to this server; did you mean temperature?",
                "\"response_format\": {\"type\": \"xml\"}|response_format.type must be",
                "\"response_format\": {\"type\": \"json_schema\"}|response_format.json_schema.schema is missing",
                "\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {\"type\": \"string\", \"pattern\": \"a\"}}}|keyword pattern is not supported",
                "\"tools\": [{}]|each of tools must be",
                "\"tool_choice\": \"required\"|tool_choice needs tools",
                "\"parallel_tool_calls\": false|parallel_tool_calls false is not supported",
            })
    void badRequests_areTold(String more, String message) throws Exception {
        HttpResponse<String> response = send("/v1/chat/completions", chat(more));
        assertThat(response.statusCode()).isEqualTo(400);
        assertThat(response.body()).contains(message);
    }

    /** Each path and method of the document answers, and nothing else is said to be there. */
    @Test
    void openApiDocument_listsTheRoutes() throws Exception {
        HttpRequest get =
                HttpRequest.newBuilder(
                                URI.create(
                                        "http://127.0.0.1:%d/openapi.json"
                                                .formatted(server.port())))
                        .build();
        JsonNode document =
                JsonMapper.shared().readTree(CLIENT.send(get, BodyHandlers.ofString()).body());
        Set<String> said = new TreeSet<>();
        document.get("paths")
                .properties()
                .forEach(path ->
                        path.getValue()
                                .propertyNames()
                                .forEach(method ->
                                        said.add(
                                                method.toUpperCase(Locale.ROOT)
                                                        + " "
                                                        + path.getKey())));
        assertThat(said).isEqualTo(new TreeSet<>(server.routeNames()));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '^',
            quoteCharacter = '`',
            value = {
                "HERMES^<tool_call>~{\"name\": \"f\", \"arguments\": {\"a\": 1}}~</tool_call>^f({\"a\":1})",
                "HERMES^I look.<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>~<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>^I look.f({})g({})",
                "HERMES^<tool_call>{\"name\": \"f\", \"arguments\": {}}^f({})",
                "HERMES^<tool_call>{\"name\": \"other\", \"arguments\": {}}</tool_call>^<tool_call>{\"name\": \"other\", \"arguments\": {}}</tool_call>",
                "HERMES^<tool_call>{broken^<tool_call>{broken",
                "LLAMA_3^{\"name\": \"f\", \"parameters\": {\"a\": \"b\"}}^f({\"a\":\"b\"})",
                "LLAMA_3^<|python_tag|>{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}^f({})g({})",
                "LLAMA_3^{\"a\": 1}^{\"a\": 1}",
                "LLAMA_3^Well.^Well.",
                "MISTRAL^[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", \"arguments\": {}}]^f({\"a\":1})g({})",
                "MISTRAL^[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g{}^f({\"a\":1})g({})",
                "MISTRAL^[1] says so^[1] says so",
            })
    void callsOfEachForm_areFound(ToolForm form, String text, String found) {
        ToolForm.Answered answered = form.parse(text.replace('~', '\n'), Set.of("f", "g"));
        StringBuilder out = new StringBuilder(answered.content());
        answered.calls().forEach(c -> out.append("%s(%s)".formatted(c.name(), c.arguments())));
        assertThat(out.toString()).isEqualTo(found);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "HERMES|So <b> it is|So <b> it is",
                "HERMES|See.<tool_call>{}|See.",
                "LLAMA_3|{\"name\"|``",
                "LLAMA_3|Use {x}|Use {x}",
            })
    void streamedText_isHeldBackFromTheCallOn(ToolForm form, String text, String let) {
        ToolStream stream = new ToolStream(form);
        StringBuilder out = new StringBuilder();
        text.codePoints().forEach(c -> out.append(stream.push("", Character.toString(c))));
        assertThat(out.toString()).isEqualTo(let);
        assertThat(out + stream.finish()).isEqualTo(text);
    }
}

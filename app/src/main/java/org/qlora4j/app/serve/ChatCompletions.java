package org.qlora4j.app.serve;

import io.helidon.webserver.http.ServerResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Answer;
import org.qlora4j.Prompt;
import org.qlora4j.TextRequest;
import org.qlora4j.TextService;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Token;
import tools.jackson.databind.JsonNode;

/** {@code POST /v1/chat/completions}. */
final class ChatCompletions {
    private final TextService service;
    private final ApiConfig config;

    ChatCompletions(TextService service, ApiConfig config) {
        this.service = service;
        this.config = config;
    }

    void answer(Fields fields, @Nullable String adapter, ServerResponse response) {
        fields.refuse("tools", "functions", "audio", "modalities");
        requireText(fields);
        Prompt prompt = new Prompt.Chat(messages(fields));
        int most = service.contextLength();
        int maxTokens =
                fields.integer(
                        "max_completion_tokens",
                        fields.integer("max_tokens", most, 1, Integer.MAX_VALUE),
                        1,
                        Integer.MAX_VALUE);
        boolean logprobs = fields.flag("logprobs");
        int top = fields.integer("top_logprobs", 0, 0, Sampling.MOST_TOP);
        if (top > 0 && !logprobs) {
            throw ApiError.field("top_logprobs", "top_logprobs needs logprobs true");
        }
        GenerationConfig generation =
                Sampling.config(fields, Math.min(most, maxTokens), logprobs ? top : -1, -1);
        int n = fields.integer("n", 1, 1, Choices.MOST);
        try (Choices choices = new Choices(config.timeout())) {
            for (int i = 0; i < n; i++) {
                GenerationConfig own = generation.withSeed(generation.seed() + i);
                choices.begin(service, new TextRequest(adapter, prompt, own));
            }
            Shape shape = new Shape(adapter == null ? config.modelName() : adapter, logprobs);
            if (fields.flag("stream")) {
                stream(choices, shape, response, includesUsage(fields));
            } else {
                Reply.json(response, 200, whole(choices, shape));
            }
        }
    }

    private static void requireText(Fields fields) {
        JsonNode format = fields.get("response_format");
        if (format != null && !"text".equals(format.path("type").asString(""))) {
            throw ApiError.field(
                    "response_format", "this server writes response_format {\"type\": \"text\"}");
        }
    }

    static boolean includesUsage(Fields fields) {
        JsonNode options = fields.get("stream_options");
        return options != null && options.path("include_usage").asBoolean(false);
    }

    /** Messages as templates take them: contents are texts. */
    private static List<Map<String, Object>> messages(Fields fields) {
        JsonNode all = fields.get("messages");
        if (all == null || !all.isArray() || all.isEmpty()) {
            throw ApiError.field("messages", "messages must be a list of at least one message");
        }
        List<Map<String, Object>> out = new ArrayList<>();
        for (JsonNode each : all) {
            JsonNode role = each.path("role");
            if (!role.isString()) {
                throw ApiError.field("messages", "each of messages must have a role");
            }
            Map<String, Object> message = new LinkedHashMap<>();
            message.put("role", role.asString().equals("developer") ? "system" : role.asString());
            message.put("content", content(each.get("content")));
            out.add(message);
        }
        return out;
    }

    private static String content(@Nullable JsonNode content) {
        if (content == null || content.isNull()) {
            return "";
        }
        if (content.isString()) {
            return content.asString();
        }
        StringBuilder text = new StringBuilder();
        for (JsonNode part : content) {
            if (!part.path("text").isString()) {
                throw ApiError.field("messages", "content must be text, or parts that are text");
            }
            text.append(part.get("text").asString());
        }
        return text.toString();
    }

    /** What all parts of an answer have in common. */
    private final class Shape {
        private final String id = ApiServer.newId("chatcmpl-");
        private final long created = System.currentTimeMillis() / 1000;
        private final String model;
        private final boolean logprobs;

        Shape(String model, boolean logprobs) {
            this.model = model;
            this.logprobs = logprobs;
        }

        Map<String, @Nullable Object> object(String kind, List<?> choices) {
            Map<String, @Nullable Object> out = new LinkedHashMap<>();
            out.put("id", id);
            out.put("object", kind);
            out.put("created", created);
            out.put("model", model);
            out.put("choices", choices);
            return out;
        }

        @Nullable Object logprobs(List<Token> tokens) {
            if (!logprobs) {
                return null;
            }
            return Map.of("content", tokens.stream().map(this::scored).toList());
        }

        private Map<String, Object> scored(Token token) {
            Map<String, Object> out = entry(token.id(), token.logprob());
            out.put(
                    "top_logprobs",
                    token.top().stream().map(t -> entry(t.id(), t.logprob())).toList());
            return out;
        }

        private Map<String, Object> entry(int id, double logprob) {
            String text = service.textOf(id);
            byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            List<Integer> bytes = new ArrayList<>();
            for (byte b : utf8) {
                bytes.add(b & 0xff);
            }
            Map<String, Object> out = new LinkedHashMap<>();
            out.put("token", text);
            out.put("logprob", logprob);
            out.put("bytes", bytes);
            return out;
        }

        Map<String, @Nullable Object> chunk(
                int index,
                Map<String, Object> delta,
                List<Token> tokens,
                @Nullable String finishReason) {
            Map<String, @Nullable Object> choice = new LinkedHashMap<>();
            choice.put("index", index);
            choice.put("delta", delta);
            choice.put("logprobs", tokens.isEmpty() ? null : logprobs(tokens));
            choice.put("finish_reason", finishReason);
            return object("chat.completion.chunk", List.of(choice));
        }
    }

    private Map<String, @Nullable Object> whole(Choices choices, Shape shape) {
        List<List<Token>> tokens = new ArrayList<>();
        Answer[] answers = new Answer[choices.size()];
        for (int i = 0; i < answers.length; i++) {
            tokens.add(new ArrayList<>());
        }
        for (int left = answers.length; left > 0; ) {
            switch (choices.next()) {
                case Choices.Event.Piece(int index, Token token, String text) ->
                        tokens.get(index).add(token);
                case Choices.Event.End(int index, String rest, Answer answer) -> {
                    answers[index] = answer;
                    left--;
                }
                case Choices.Event.Prompt p -> {}
                case Choices.Event.Failed f -> {}
            }
        }
        List<Object> out = new ArrayList<>();
        Usage usage = new Usage();
        for (int i = 0; i < answers.length; i++) {
            usage.add(answers[i], i == 0);
            Map<String, @Nullable Object> choice = new LinkedHashMap<>();
            choice.put("index", i);
            choice.put("message", Map.of("role", "assistant", "content", answers[i].text()));
            choice.put("logprobs", shape.logprobs(tokens.get(i)));
            choice.put("finish_reason", Usage.finishReason(answers[i].stopReason()));
            out.add(choice);
        }
        Map<String, @Nullable Object> body = shape.object("chat.completion", out);
        body.put("usage", usage.json());
        return body;
    }

    private void stream(
            Choices choices, Shape shape, ServerResponse response, boolean includeUsage) {
        try (Reply.Events events = new Reply.Events(response)) {
            for (int i = 0; i < choices.size(); i++) {
                Map<String, Object> role = new LinkedHashMap<>();
                role.put("role", "assistant");
                role.put("content", "");
                events.send(shape.chunk(i, role, List.of(), null));
            }
            Usage usage = new Usage();
            for (int left = choices.size(); left > 0; ) {
                Choices.Event event = ApiServer.nextOrTell(choices, events);
                switch (event) {
                    case null -> {
                        return;
                    }
                    case Choices.Event.Piece(int index, Token token, String text) -> {
                        if (!text.isEmpty() || shape.logprobs) {
                            events.send(
                                    shape.chunk(
                                            index, Map.of("content", text), List.of(token), null));
                        }
                    }
                    case Choices.Event.End(int index, String rest, Answer answer) -> {
                        Map<String, Object> delta =
                                rest.isEmpty() ? Map.of() : Map.of("content", rest);
                        String reason = Usage.finishReason(answer.stopReason());
                        events.send(shape.chunk(index, delta, List.of(), reason));
                        usage.add(answer, index == 0);
                        left--;
                    }
                    case Choices.Event.Prompt p -> {}
                    case Choices.Event.Failed f -> {}
                }
            }
            if (includeUsage) {
                Map<String, @Nullable Object> last =
                        shape.object("chat.completion.chunk", List.of());
                last.put("usage", usage.json());
                events.send(last);
            }
            events.done();
        }
    }
}

package org.qlora4j.app.serve;

import io.helidon.webserver.http.ServerResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Answer;
import org.qlora4j.TextRequest;
import org.qlora4j.TextService;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Token;
import org.qlora4j.grammar.ToolForm;
import org.qlora4j.grammar.ToolStream;
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
        if (!fields.flag("parallel_tool_calls", true)) {
            throw ApiError.field(
                    "parallel_tool_calls", "parallel_tool_calls false is not supported here");
        }
        ChatRequest request = ChatRequest.of(fields, service, adapter);
        int asManyAsFit = Integer.MAX_VALUE;
        int maxTokens =
                fields.integer(
                        "max_completion_tokens",
                        fields.integer("max_tokens", asManyAsFit, 1, Integer.MAX_VALUE),
                        1,
                        Integer.MAX_VALUE);
        boolean logprobs = fields.flag("logprobs");
        int top = fields.integer("top_logprobs", 0, 0, Sampling.MOST_TOP);
        if (top > 0 && !logprobs) {
            throw ApiError.field("top_logprobs", "top_logprobs needs logprobs true");
        }
        GenerationConfig generation = Sampling.config(fields, maxTokens, logprobs ? top : -1, -1);
        int n = fields.integer("n", 1, 1, Choices.MOST);
        Choices.requireRoom(service, n);
        boolean usage = includesUsage(fields);
        try (Choices choices = new Choices(config.timeout())) {
            for (int i = 0; i < n; i++) {
                GenerationConfig own = generation.withSeed(generation.seed() + i);
                choices.begin(
                        service,
                        new TextRequest(adapter, request.prompt(), own, request.grammar()));
            }
            Shape shape =
                    new Shape(adapter == null ? config.modelName() : adapter, logprobs, request);
            if (fields.flag("stream")) {
                stream(choices, shape, response, usage);
            } else {
                Reply.json(response, 200, whole(choices, shape));
            }
        }
    }

    static boolean includesUsage(Fields fields) {
        JsonNode options = fields.get("stream_options");
        if (options != null && !options.isObject()) {
            throw ApiError.field("stream_options", "stream_options must be an object");
        }
        return options != null && new Fields(options).flag("include_usage");
    }

    /** What all parts of an answer have in common. */
    private final class Shape {
        private final String id = ApiServer.newId("chatcmpl-");
        private final long created = System.currentTimeMillis() / 1000;
        private final String model;
        private final boolean logprobs;

        private final @Nullable ToolForm toolForm;
        private final Set<String> tools;

        Shape(String model, boolean logprobs, ChatRequest request) {
            this.model = model;
            this.logprobs = logprobs;
            this.toolForm = request.toolForm();
            this.tools = request.tools();
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

        /**
         * What an answer says and calls.
         *
         * @param tokens of it, special ones too
         */
        ToolForm.Answered answered(List<Token> tokens, Answer answer) {
            if (toolForm == null) {
                return new ToolForm.Answered(answer.text(), List.of());
            }
            String whole = service.textOf(tokens.stream().map(Token::id).toList());
            ToolForm.Answered parsed = toolForm.parse(whole, tools);
            return parsed.calls().isEmpty()
                    ? new ToolForm.Answered(answer.text(), List.of())
                    : parsed;
        }

        /** Calls as OpenAI writes them, and with their places, as a stream does. */
        List<Object> calls(List<ToolForm.Call> calls, boolean streamed) {
            List<Object> out = new ArrayList<>();
            for (ToolForm.Call call : calls) {
                Map<String, Object> function = new LinkedHashMap<>();
                function.put("name", call.name());
                function.put("arguments", call.arguments());
                Map<String, Object> one = new LinkedHashMap<>();
                if (streamed) {
                    one.put("index", out.size());
                }
                one.put("id", ApiServer.newId("").substring(0, 9)); // as long as Mistral asks for
                one.put("type", "function");
                one.put("function", function);
                out.add(one);
            }
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
                case Choices.Event.EndToken e -> {}
                case Choices.Event.Failed f -> {}
            }
        }
        List<Object> out = new ArrayList<>();
        Usage usage = new Usage();
        for (int i = 0; i < answers.length; i++) {
            usage.add(answers[i], i == 0);
            Map<String, @Nullable Object> choice = new LinkedHashMap<>();
            choice.put("index", i);
            ToolForm.Answered answered = shape.answered(tokens.get(i), answers[i]);
            boolean calls = !answered.calls().isEmpty();
            Map<String, @Nullable Object> message = new LinkedHashMap<>();
            message.put("role", "assistant");
            message.put(
                    "content", calls && answered.content().isEmpty() ? null : answered.content());
            if (calls) {
                message.put("tool_calls", shape.calls(answered.calls(), false));
            }
            choice.put("message", message);
            choice.put("logprobs", shape.logprobs(tokens.get(i)));
            String reason = Usage.finishReason(answers[i].stopReason());
            choice.put("finish_reason", calls ? "tool_calls" : reason);
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
            List<List<Token>> tokens = new ArrayList<>();
            List<ToolStream> held = new ArrayList<>();
            for (int i = 0; i < choices.size() && shape.toolForm != null; i++) {
                tokens.add(new ArrayList<>());
                held.add(new ToolStream(shape.toolForm));
            }
            for (int left = choices.size(); left > 0; ) {
                Choices.Event event = ApiServer.nextOrTell(choices, events);
                switch (event) {
                    case null -> {
                        return;
                    }
                    case Choices.Event.Piece(int index, Token token, String text) -> {
                        String sure = text;
                        if (!held.isEmpty()) {
                            tokens.get(index).add(token);
                            sure = held.get(index).push(service.textOf(token.id()), text);
                        }
                        if (!sure.isEmpty() || shape.logprobs) {
                            events.send(
                                    shape.chunk(
                                            index, Map.of("content", sure), List.of(token), null));
                        }
                    }
                    case Choices.Event.End(int index, String rest, Answer answer) -> {
                        Map<String, Object> delta = new LinkedHashMap<>();
                        String reason = Usage.finishReason(answer.stopReason());
                        String last = rest;
                        if (!held.isEmpty()) {
                            var calls = shape.answered(tokens.get(index), answer).calls();
                            last = held.get(index).finish() + rest;
                            if (!calls.isEmpty()) {
                                delta.put("tool_calls", shape.calls(calls, true));
                                reason = "tool_calls";
                                last = "";
                            }
                        }
                        if (!last.isEmpty()) {
                            delta.put("content", last);
                        }
                        events.send(shape.chunk(index, delta, List.of(), reason));
                        usage.add(answer, index == 0);
                        left--;
                    }
                    case Choices.Event.Prompt p -> {}
                    case Choices.Event.EndToken e -> {}
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

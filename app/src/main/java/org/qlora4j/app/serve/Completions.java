package org.qlora4j.app.serve;

import io.helidon.webserver.http.ServerResponse;
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

/**
 * {@code POST /v1/completions}: texts or lists of ids that are continued as they stand, with {@code
 * echo} and log-probabilities of the prompt, as lm-evaluation-harness asks for them.
 */
final class Completions {
    private final TextService service;
    private final ApiConfig config;

    Completions(TextService service, ApiConfig config) {
        this.service = service;
        this.config = config;
    }

    void answer(Fields fields, @Nullable String adapter, ServerResponse response) {
        List<List<Integer>> prompts = new PromptIds(service).of(fields, "prompt");
        int maxTokens = fields.integer("max_tokens", 16, 0, Integer.MAX_VALUE);
        boolean echo = fields.flag("echo");
        if (maxTokens == 0 && !echo) {
            throw ApiError.field("max_tokens", "max_tokens 0 needs echo true");
        }
        int top = fields.integer("logprobs", -1, 0, Sampling.MOST_TOP);
        int n = fields.integer("n", 1, 1, Choices.MOST);
        if (fields.integer("best_of", n, 1, Choices.MOST) != n) {
            throw ApiError.field("best_of", "best_of is not supported by this server");
        }
        Choices.requireRoom(service, prompts.size() * n);
        boolean stream = fields.flag("stream");
        boolean usage = ChatCompletions.includesUsage(fields);
        if (stream && echo) {
            throw ApiError.field("echo", "echo cannot be streamed");
        }
        int limit = Math.max(1, maxTokens);
        GenerationConfig generation = Sampling.config(fields, limit, top, echo ? top : -1);
        try (Choices choices = new Choices(config.timeout())) {
            for (List<Integer> prompt : prompts) {
                for (int i = 0; i < n; i++) {
                    GenerationConfig own = generation.withSeed(generation.seed() + i);
                    choices.begin(service, new TextRequest(adapter, new Prompt.Ids(prompt), own));
                }
            }
            String model = adapter == null ? config.modelName() : adapter;
            if (stream) {
                stream(choices, model, n, top >= 0, response, usage);
            } else {
                List<List<Integer>> echoed = echo ? prompts : List.of();
                Reply.json(response, 200, whole(choices, model, n, echoed, top, maxTokens == 0));
            }
        }
    }

    /** Tokens of an answer with their log-probabilities, in the layout of this call. */
    private Map<String, Object> logprobs(List<Token> tokens, int offset) {
        List<String> texts = new ArrayList<>();
        List<@Nullable Double> own = new ArrayList<>();
        List<@Nullable Map<String, Double>> top = new ArrayList<>();
        List<Integer> offsets = new ArrayList<>();
        int at = offset;
        for (Token token : tokens) {
            String text = service.textOf(token.id());
            texts.add(text);
            offsets.add(at);
            at += text.length();
            if (Double.isNaN(token.logprob())) { // the first of a prompt
                own.add(null);
                top.add(null);
                continue;
            }
            own.add(token.logprob());
            Map<String, Double> likeliest = new LinkedHashMap<>();
            token.top().forEach(t -> likeliest.putIfAbsent(service.textOf(t.id()), t.logprob()));
            likeliest.putIfAbsent(text, token.logprob());
            top.add(likeliest);
        }
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("tokens", texts);
        out.put("token_logprobs", own);
        out.put("top_logprobs", top);
        out.put("text_offset", offsets);
        return out;
    }

    private static Map<String, @Nullable Object> object(String id, String model, Object choices) {
        Map<String, @Nullable Object> out = new LinkedHashMap<>();
        out.put("id", id);
        out.put("object", "text_completion");
        out.put("created", System.currentTimeMillis() / 1000);
        out.put("model", model);
        out.put("choices", choices);
        return out;
    }

    private static Map<String, @Nullable Object> choice(
            int index, String text, @Nullable Object logprobs, @Nullable String reason) {
        Map<String, @Nullable Object> out = new LinkedHashMap<>();
        out.put("index", index);
        out.put("text", text);
        out.put("logprobs", logprobs);
        out.put("finish_reason", reason);
        return out;
    }

    /**
     * The whole reply.
     *
     * @param echoed prompts that stand before their answers; none if not asked for
     * @param top as in the request; -1 for no log-probabilities
     * @param promptAlone whether the answer itself is left out
     */
    private Map<String, @Nullable Object> whole(
            Choices choices,
            String model,
            int n,
            List<List<Integer>> echoed,
            int top,
            boolean promptAlone) {
        List<List<Token>> tokens = new ArrayList<>();
        Answer[] answers = new Answer[choices.size()];
        for (int i = 0; i < answers.length; i++) {
            tokens.add(new ArrayList<>());
        }
        for (int left = answers.length; left > 0; ) {
            switch (choices.next()) {
                case Choices.Event.Prompt(int index, List<Token> prompt) ->
                        tokens.get(index).addAll(prompt);
                case Choices.Event.Piece(int index, Token token, String text) -> {
                    if (!promptAlone) {
                        tokens.get(index).add(token);
                    }
                }
                case Choices.Event.EndToken(int index, Token token) -> {
                    if (!promptAlone) { // harnesses count on one for each token that was asked for
                        tokens.get(index).add(token);
                    }
                }
                case Choices.Event.End(int index, String rest, Answer answer) -> {
                    answers[index] = answer;
                    left--;
                }
                case Choices.Event.Failed f -> {}
            }
        }
        List<Object> out = new ArrayList<>();
        Usage usage = new Usage();
        for (int i = 0; i < answers.length; i++) {
            usage.add(answers[i], i % n == 0);
            String before = echoed.isEmpty() ? "" : service.textOf(echoed.get(i / n));
            String text = before + (promptAlone ? "" : answers[i].text());
            Object logprobs = top < 0 ? null : logprobs(tokens.get(i), 0);
            String reason = Usage.finishReason(answers[i].stopReason());
            out.add(choice(i, text, logprobs, promptAlone ? "length" : reason));
        }
        Map<String, @Nullable Object> body = object(ApiServer.newId("cmpl-"), model, out);
        body.put("usage", usage.json());
        return body;
    }

    private void stream(
            Choices choices,
            String model,
            int n,
            boolean logprobs,
            ServerResponse response,
            boolean includeUsage) {
        String id = ApiServer.newId("cmpl-");
        int[] length = new int[choices.size()];
        try (Reply.Events events = new Reply.Events(response)) {
            Usage usage = new Usage();
            for (int left = choices.size(); left > 0; ) {
                switch (ApiServer.nextOrTell(choices, events)) {
                    case null -> {
                        return;
                    }
                    case Choices.Event.Piece(int index, Token token, String text) -> {
                        if (!text.isEmpty() || logprobs) {
                            Object scores =
                                    logprobs ? logprobs(List.of(token), length[index]) : null;
                            length[index] += text.length();
                            events.send(
                                    object(id, model, List.of(choice(index, text, scores, null))));
                        }
                    }
                    case Choices.Event.End(int index, String rest, Answer answer) -> {
                        String reason = Usage.finishReason(answer.stopReason());
                        events.send(object(id, model, List.of(choice(index, rest, null, reason))));
                        usage.add(answer, index % n == 0);
                        left--;
                    }
                    case Choices.Event.EndToken(int index, Token token) -> {
                        if (logprobs) {
                            Object scores = logprobs(List.of(token), length[index]);
                            events.send(
                                    object(id, model, List.of(choice(index, "", scores, null))));
                        }
                    }
                    case Choices.Event.Prompt p -> {}
                    case Choices.Event.Failed f -> {}
                }
            }
            if (includeUsage) {
                Map<String, @Nullable Object> last = object(id, model, List.of());
                last.put("usage", usage.json());
                events.send(last);
            }
            events.done();
        }
    }
}

import com.fasterxml.jackson.annotation.JsonClassDescription;
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.OpenAIServiceException;
import com.openai.errors.UnauthorizedException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionMessageFunctionToolCall;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionToolChoiceOption;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import com.openai.models.chat.completions.StructuredChatCompletionCreateParams;
import com.openai.models.completions.CompletionCreateParams;
import com.openai.models.embeddings.EmbeddingCreateParams;
import com.openai.models.models.Model;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Drives a running `qlora serve` with the official openai-java (tried with 4.101.0), as programs do; check_serve.py does so with the
 * client for Python. The class path is that of com.openai:openai-java, 25 jars of 84 MB, which is too much for the build:
 *
 * <pre>
 * qlora serve --model MODEL --port 8080
 * java -cp CLASSPATH OpenAiJavaCheck.java http://127.0.0.1:8080/v1 [KEY]
 * </pre>
 *
 * Exit code 1 if a check failed. A model whose template takes no tools is asked for none.
 */
final class OpenAiJavaCheck {
    private static int failed;
    private static int count;

    enum Colour {
        RED,
        GREEN
    }

    static final class Verdict {
        public Colour colour;
        public boolean sure;
        public int times;
    }

    @JsonClassDescription("Weather of a city")
    static final class Weather {
        public String city;
    }

    private static void check(String name, boolean good, Object seen) {
        count++;
        if (!good) {
            failed++;
            System.out.println("FAIL " + name + " " + seen);
        }
    }

    private static <E extends OpenAIServiceException> void refused(
            String name, Class<E> kind, Runnable call) {
        try {
            call.run();
            check(name, false, "no error");
        } catch (OpenAIServiceException e) {
            check(name, kind.isInstance(e) && e.type().isPresent() && !e.getMessage().isBlank(), e);
        }
    }

    public static void main(String[] args) {
        String key = args.length > 1 ? args[1] : "none";
        OpenAIClient client =
                OpenAIOkHttpClient.builder().baseUrl(args[0]).apiKey(key).maxRetries(0).build();
        List<Model> models = client.models().list().data();
        String base = models.getFirst().id();
        check("model", client.models().retrieve(base).id().equals(base), models);
        chats(client, base);
        tools(client, base);
        String raw =
                client.completions()
                        .create(
                                CompletionCreateParams.builder()
                                        .model(base)
                                        .prompt("Once upon a time")
                                        .maxTokens(8)
                                        .build())
                        .choices()
                        .getFirst()
                        .text();
        check("completion", !raw.isEmpty(), raw);
        List<List<Float>> vectors =
                client
                        .embeddings()
                        .create(
                                EmbeddingCreateParams.builder()
                                        .model(base)
                                        .inputOfArrayOfStrings(List.of("A ship.", "A ship.", "Tax law."))
                                        .build())
                        .data()
                        .stream()
                        .map(e -> e.embedding())
                        .toList();
        check("embeddings", vectors.size() == 3 && vectors.get(0).equals(vectors.get(1)), vectors.size());
        check("other embedding", !vectors.get(0).equals(vectors.get(2)), "");

        refused("unknown model", NotFoundException.class, () -> client.chat().completions().create(chat("no such model").build()));
        refused("unknown model of the list", NotFoundException.class, () -> client.models().retrieve("nobody"));
        refused("temperature", BadRequestException.class, () -> client.chat().completions().create(chat(base).temperature(-1).build()));
        refused(
                "too long",
                BadRequestException.class,
                () -> client.completions().create(CompletionCreateParams.builder().model(base).prompt("a ".repeat(200_000)).build()));
        if (!key.equals("none")) {
            refused("wrong key", UnauthorizedException.class, () -> client.withOptions(o -> o.apiKey("a key that is none of them")).models().list());
        }
        System.out.printf("%d passed, %d failed%n", count - failed, failed);
        client.close();
        System.exit(failed == 0 ? 0 : 1);
    }

    private static ChatCompletionCreateParams.Builder chat(String model) {
        return ChatCompletionCreateParams.builder()
                .model(model)
                .addSystemMessage("Be brief.")
                .addUserMessage("Name three colours.")
                .temperature(0)
                .maxCompletionTokens(24);
    }

    private static void chats(OpenAIClient client, String base) {
        ChatCompletion whole = client.chat().completions().create(chat(base).build());
        whole.validate(); // each field is there and of its type
        String text = whole.choices().getFirst().message().content().orElse("");
        check("chat", !text.isEmpty(), whole);
        check("usage", whole.usage().orElseThrow().completionTokens() <= 24, whole);
        StringBuilder said = new StringBuilder();
        ChatCompletionAccumulator accumulated = ChatCompletionAccumulator.create();
        try (StreamResponse<ChatCompletionChunk> stream =
                client.chat()
                        .completions()
                        .createStreaming(
                                chat(base)
                                        .streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build())
                                        .build())) {
            stream.stream()
                    .peek(accumulated::accumulate)
                    .peek(ChatCompletionChunk::validate)
                    .flatMap(chunk -> chunk.choices().stream())
                    .forEach(choice -> choice.delta().content().ifPresent(said::append));
        }
        check("stream says the same", said.toString().equals(text), said);
        check("stream usage", accumulated.chatCompletion().usage().equals(whole.usage()), accumulated.chatCompletion().usage());
        ChatCompletion scored = client.chat().completions().create(chat(base).logprobs(true).topLogprobs(2).n(2).build());
        scored.validate();
        check("logprobs", scored.choices().get(1).logprobs().orElseThrow().content().orElseThrow().getFirst().topLogprobs().size() == 2, scored);
        StructuredChatCompletionCreateParams<Verdict> asked =
                chat(base).maxCompletionTokens(300).responseFormat(Verdict.class).build();
        Verdict verdict = client.chat().completions().create(asked).choices().getFirst().message().content().orElseThrow();
        check("json_schema of a class", verdict.colour != null, verdict);
    }

    private static void tools(OpenAIClient client, String base) {
        ChatCompletionCreateParams.Builder asked =
                ChatCompletionCreateParams.builder()
                        .model(base)
                        .addUserMessage("How is the weather in Paris?")
                        .temperature(0)
                        .maxCompletionTokens(200)
                        .addTool(Weather.class)
                        .toolChoice(ChatCompletionToolChoiceOption.Auto.REQUIRED);
        ChatCompletion called;
        try {
            called = client.chat().completions().create(asked.build());
        } catch (BadRequestException e) {
            System.out.println("tools are not tried: " + e.getMessage());
            return;
        }
        called.validate();
        ChatCompletionMessageFunctionToolCall call =
                called.choices().getFirst().message().toolCalls().orElseThrow().getFirst().asFunction();
        check("tool call", call.function().arguments(Weather.class).city != null, called);
        check("tool reason", called.choices().getFirst().finishReason().asString().equals("tool_calls"), called);
        ChatCompletionAccumulator accumulated = ChatCompletionAccumulator.create();
        List<String> said = new ArrayList<>();
        Consumer<ChatCompletionChunk> take = accumulated::accumulate;
        try (StreamResponse<ChatCompletionChunk> stream = client.chat().completions().createStreaming(asked.build())) {
            stream.stream().peek(take).forEach(chunk -> chunk.choices().forEach(c -> c.delta().content().ifPresent(said::add)));
        }
        ChatCompletionMessageFunctionToolCall streamed =
                accumulated.chatCompletion().choices().getFirst().message().toolCalls().orElseThrow().getFirst().asFunction();
        check("streamed tool call", streamed.function().arguments().equals(call.function().arguments()), streamed);
        check("no call in the text", String.join("", said).isBlank(), said);
        ChatCompletion answered =
                client.chat()
                        .completions()
                        .create(
                                asked.addMessage(called.choices().getFirst().message())
                                        .addMessage(
                                                ChatCompletionToolMessageParam.builder()
                                                        .toolCallId(call.id())
                                                        .content("Sunny, 21 degrees")
                                                        .build())
                                        .toolChoice(ChatCompletionToolChoiceOption.Auto.AUTO)
                                        .build());
        check("answer behind a tool", answered.choices().getFirst().message().isValid(), answered);
    }
}

package org.qlora4j.langchain4j;

import static org.qlora4j.error.Require.given;

import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.DefaultChatRequestParameters;
import dev.langchain4j.model.chat.request.ResponseFormat;
import java.time.Duration;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.qlora4j.TextService;
import org.qlora4j.generate.GenerationConfig;

/**
 * Builds a chat model, by the names that LangChain4j's other models have. Only the service must be
 * given; what is not set is as in {@link GenerationConfig#DEFAULT}, and an answer may be as long as
 * there is room.
 *
 * @param <M> what is built
 */
public final class QloraBuilder<M> {
    private final Function<Settings, M> make;
    private final DefaultChatRequestParameters.Builder<?> parameters =
            DefaultChatRequestParameters.builder();
    private @Nullable TextService service;
    private @Nullable ChatRequestParameters defaults;
    private GenerationConfig generation =
            GenerationConfig.DEFAULT.withMaxNewTokens(Integer.MAX_VALUE);
    private @Nullable Long seed;
    private Duration timeout = Duration.ofMinutes(10);
    private List<ChatModelListener> listeners = List.of();

    QloraBuilder(Function<Settings, M> make) {
        this.make = make;
    }

    /** What answers; it stays its owner's, who closes it after the last answer. */
    public QloraBuilder<M> service(TextService value) {
        service = value;
        return this;
    }

    /** The name of an adapter that the service has loaded; without one the base model answers. */
    public QloraBuilder<M> modelName(String value) {
        parameters.modelName(value);
        return this;
    }

    /** Logits are divided by it; 0 takes the likeliest token every time. */
    public QloraBuilder<M> temperature(double value) {
        parameters.temperature(value);
        return this;
    }

    /** Tokens outside the smallest set of this probability are never drawn. */
    public QloraBuilder<M> topP(double value) {
        parameters.topP(value);
        return this;
    }

    /** Tokens less likely than the k-th are never drawn. */
    public QloraBuilder<M> topK(int value) {
        parameters.topK(value);
        return this;
    }

    /** It is taken off the logit of a token for each time that the answer has it. */
    public QloraBuilder<M> frequencyPenalty(double value) {
        parameters.frequencyPenalty(value);
        return this;
    }

    /** It is taken off the logit of each token that the answer has. */
    public QloraBuilder<M> presencePenalty(double value) {
        parameters.presencePenalty(value);
        return this;
    }

    /** Most tokens of an answer. */
    public QloraBuilder<M> maxOutputTokens(int value) {
        parameters.maxOutputTokens(value);
        return this;
    }

    /** Texts before which an answer ends. */
    public QloraBuilder<M> stopSequences(List<String> value) {
        parameters.stopSequences(value);
        return this;
    }

    /** The form of answers. */
    public QloraBuilder<M> responseFormat(ResponseFormat value) {
        parameters.responseFormat(value);
        return this;
    }

    /** Further parameters of requests, which go before those of the methods above. */
    public QloraBuilder<M> defaultRequestParameters(ChatRequestParameters value) {
        defaults = value;
        return this;
    }

    /** Settings that LangChain4j has no names for; parameters of requests go before them. */
    public QloraBuilder<M> generation(GenerationConfig value) {
        generation = given(value, "generation");
        return this;
    }

    /** Repeats answers that are drawn; without it each is another. */
    public QloraBuilder<M> seed(long value) {
        seed = value;
        return this;
    }

    /** How long an answer may take. */
    public QloraBuilder<M> timeout(Duration value) {
        timeout = given(value, "timeout");
        return this;
    }

    /** Listeners are told of requests, answers and failures. */
    public QloraBuilder<M> listeners(List<ChatModelListener> value) {
        listeners = List.copyOf(value);
        return this;
    }

    /**
     * The model.
     *
     * @throws NullPointerException if no service was given
     */
    public M build() {
        if (defaults != null) {
            parameters.overrideWith(defaults);
        }
        return make.apply(
                new Settings(
                        given(service, "service"),
                        generation,
                        parameters.build(),
                        seed,
                        timeout,
                        listeners));
    }
}

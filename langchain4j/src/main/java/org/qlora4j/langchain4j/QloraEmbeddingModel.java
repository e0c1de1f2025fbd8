package org.qlora4j.langchain4j;

import static org.qlora4j.error.Require.given;

import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.request.EmbeddingInput;
import dev.langchain4j.model.embedding.request.EmbeddingRequest;
import dev.langchain4j.model.embedding.response.EmbeddingResponse;
import dev.langchain4j.model.output.TokenUsage;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.BusyException;
import org.qlora4j.Prompt;
import org.qlora4j.TextService;
import org.qlora4j.error.UserException;

/**
 * A model in this process as LangChain4j's {@link EmbeddingModel}: a text is the mean over its
 * tokens of the last hidden states, those that the head reads, not scaled to length 1.
 */
public final class QloraEmbeddingModel implements EmbeddingModel {
    private final TextService service;
    private final @Nullable String adapter;

    private QloraEmbeddingModel(TextService service, @Nullable String adapter) {
        this.service = service;
        this.adapter = adapter;
    }

    public static Builder builder() {
        return new Builder();
    }

    /**
     * Embeds texts, one after another.
     *
     * @throws InvalidRequestException if a text is empty or too long
     * @throws RateLimitException if the service is about to end
     * @throws UnsupportedFeatureException if another number of dimensions is asked for
     */
    @Override
    public EmbeddingResponse doEmbed(EmbeddingRequest request) {
        if (request.dimensions() != null && request.dimensions() != dimension()) {
            throw new UnsupportedFeatureException(
                    "texts have %d dimensions, not %d"
                            .formatted(dimension(), request.dimensions()));
        }
        String name = request.modelName();
        String own = name == null ? adapter : Exchange.adapter(service, name);
        List<Embedding> out = new ArrayList<>();
        int tokens = 0;
        try {
            for (EmbeddingInput input : request.inputs()) {
                TextService.Embedded embedded = service.embed(own, new Prompt.Raw(input.text()));
                tokens += embedded.tokens();
                out.add(Embedding.from(embedded.vector()));
            }
        } catch (BusyException e) {
            throw new RateLimitException(e.getMessage(), e);
        } catch (UserException e) {
            throw new InvalidRequestException(e.getMessage(), e);
        }
        return EmbeddingResponse.builder()
                .embeddings(out)
                .modelName(own == null ? Exchange.BASE : own)
                .tokenUsage(new TokenUsage(tokens))
                .build();
    }

    @Override
    public int dimension() {
        return service.hiddenSize();
    }

    @Override
    public String modelName() {
        return adapter == null ? Exchange.BASE : adapter;
    }

    /** Builds an embedding model; only the service must be given. */
    public static final class Builder {
        private @Nullable TextService service;
        private @Nullable String modelName;

        private Builder() {}

        /** What computes; it stays its owner's. */
        public Builder service(TextService value) {
            service = value;
            return this;
        }

        /** The name of an adapter that the service has loaded; without one the base computes. */
        public Builder modelName(String value) {
            modelName = value;
            return this;
        }

        /**
         * The model.
         *
         * @throws NullPointerException if no service was given
         * @throws dev.langchain4j.exception.ModelNotFoundException if it has no such adapter
         */
        public QloraEmbeddingModel build() {
            TextService from = given(service, "service");
            return new QloraEmbeddingModel(from, Exchange.adapter(from, modelName));
        }
    }
}

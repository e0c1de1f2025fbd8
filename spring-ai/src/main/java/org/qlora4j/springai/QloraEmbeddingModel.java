package org.qlora4j.springai;

import static org.qlora4j.error.Require.given;

import io.micrometer.observation.ObservationRegistry;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Prompt;
import org.qlora4j.TextService;
import org.qlora4j.error.ConfigException;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.Embedding;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.embedding.EmbeddingOptions;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.EmbeddingResponse;
import org.springframework.ai.embedding.EmbeddingResponseMetadata;
import org.springframework.ai.embedding.observation.DefaultEmbeddingModelObservationConvention;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationContext;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationDocumentation;

/**
 * A model in this process as Spring AI's {@link EmbeddingModel}: a text is the mean over its tokens
 * of the last hidden states, those that the head reads, not scaled to length 1.
 */
public final class QloraEmbeddingModel implements EmbeddingModel {
    private final TextService service;
    private final String model;
    private final ObservationRegistry observations;

    /**
     * An embedding model.
     *
     * @param service what computes; it stays its owner's
     * @param model the name of an adapter that it has loaded; null for the base model
     */
    public QloraEmbeddingModel(
            TextService service, @Nullable String model, ObservationRegistry observations) {
        this.service = given(service, "service");
        this.model = model == null ? QloraChatModel.BASE : model;
        this.observations = given(observations, "observations");
    }

    /**
     * Embeds texts, one after another.
     *
     * @throws org.qlora4j.error.UserException if a text is empty or too long, an adapter is not
     *     loaded, or another number of dimensions is asked for
     * @throws org.qlora4j.BusyException if the service is about to end
     */
    @Override
    public EmbeddingResponse call(EmbeddingRequest request) {
        EmbeddingOptions options = request.getOptions();
        Integer dimensions = options == null ? null : options.getDimensions();
        if (dimensions != null && dimensions != dimensions()) {
            throw ConfigException.of("texts have %d dimensions, not %d", dimensions(), dimensions);
        }
        String asked = options == null ? null : options.getModel();
        String name = asked == null ? model : asked;
        EmbeddingModelObservationContext context =
                EmbeddingModelObservationContext.builder()
                        .embeddingRequest(
                                new EmbeddingRequest(
                                        request.getInstructions(),
                                        EmbeddingOptions.builder()
                                                .model(name)
                                                .dimensions(dimensions())
                                                .build()))
                        .provider(QloraChatModel.PROVIDER)
                        .build();
        return given(
                EmbeddingModelObservationDocumentation.EMBEDDING_MODEL_OPERATION
                        .observation(
                                null,
                                new DefaultEmbeddingModelObservationConvention(),
                                () -> context,
                                observations)
                        .observe(() -> {
                            EmbeddingResponse response = embed(request.getInstructions(), name);
                            context.setResponse(response);
                            return response;
                        }),
                "response");
    }

    private EmbeddingResponse embed(List<String> texts, String name) {
        List<Embedding> out = new ArrayList<>();
        int tokens = 0;
        for (String text : texts) {
            TextService.Embedded embedded =
                    service.embed(QloraChatModel.adapter(name), new Prompt.Raw(text));
            tokens += embedded.tokens();
            out.add(new Embedding(embedded.vector(), out.size()));
        }
        return new EmbeddingResponse(
                out, new EmbeddingResponseMetadata(name, new DefaultUsage(tokens, 0)));
    }

    /** The vector of a document's text. */
    @Override
    public float[] embed(Document document) {
        String text = getEmbeddingContent(document);
        return embed(text == null ? "" : text);
    }

    @Override
    public int dimensions() {
        return service.hiddenSize();
    }
}

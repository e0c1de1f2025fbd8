package org.qlora4j.springai.autoconfigure;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ServiceConfig;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.springai.QloraChatOptions;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

/**
 * Properties {@code spring.ai.qlora4j.*}; what is not set is as in the library.
 *
 * @param model folder of a model, a GGUF file, a name on the Hugging Face hub, or embedded
 * @param loadIn4bit whether weights are held in 4 bits
 * @param computeDtype in which the model computes
 * @param adapter folder of an adapter that answers and embeds unless another is named; its name is
 *     adapter
 * @param adapters folders of further adapters by name
 * @param chat settings of answers
 * @param embedding settings of embeddings
 * @param service requests at once, and their memory
 */
@ConfigurationProperties("spring.ai.qlora4j")
public record QloraProperties(
        @Nullable String model,
        @Nullable Boolean loadIn4bit,
        @Nullable ComputeDtype computeDtype,
        @Nullable String adapter,
        @DefaultValue Map<String, String> adapters,
        @DefaultValue Chat chat,
        @DefaultValue Embedding embedding,
        @DefaultValue Service service) {
    /** The name of the adapter that answers unless another is named. */
    static final String ADAPTER = "adapter";

    /**
     * Settings of answers.
     *
     * @param model name of the adapter that answers, or base
     * @param temperature logits are divided by it; 0 takes the likeliest token
     * @param topP tokens outside the smallest set of this probability are never drawn
     * @param topK tokens less likely than the k-th are never drawn
     * @param minP tokens less likely than this share of the likeliest are never drawn
     * @param maxTokens most tokens of an answer
     * @param stopSequences texts before which an answer ends
     * @param seed repeats answers that are drawn
     * @param frequencyPenalty taken off a token's logit for each time that the answer has it
     * @param presencePenalty taken off the logit of each token that the answer has
     * @param repetitionPenalty logits of tokens in prompt and answer are divided by it
     * @param timeout how long an answer may take
     */
    public record Chat(
            @Nullable String model,
            @Nullable Double temperature,
            @Nullable Double topP,
            @Nullable Integer topK,
            @Nullable Double minP,
            @Nullable Integer maxTokens,
            @Nullable List<String> stopSequences,
            @Nullable Long seed,
            @Nullable Double frequencyPenalty,
            @Nullable Double presencePenalty,
            @Nullable Double repetitionPenalty,
            @Nullable Duration timeout) {}

    /**
     * Settings of embeddings.
     *
     * @param model name of the adapter that reads, or base
     */
    public record Embedding(@Nullable String model) {}

    /**
     * Requests at once, and their memory.
     *
     * @param streams answers at once
     * @param promptPositions tokens of prompts that are read between two tokens of answers
     * @param queue requests that may wait
     * @param kvCacheMemory of keys and values of all requests
     * @param adapterMemory of the weights of adapters
     */
    public record Service(
            @Nullable Integer streams,
            @Nullable Integer promptPositions,
            @Nullable Integer queue,
            @Nullable DataSize kvCacheMemory,
            @Nullable DataSize adapterMemory) {
        ServiceConfig config() {
            ServiceConfig by = ServiceConfig.DEFAULT;
            return new ServiceConfig(
                    streams == null ? by.streams() : streams,
                    promptPositions == null ? by.promptPositions() : promptPositions,
                    queue == null ? by.queue() : queue,
                    kvCacheMemory == null ? by.kvCacheBytes() : kvCacheMemory.toBytes(),
                    adapterMemory == null ? by.adapterBytes() : adapterMemory.toBytes());
        }
    }

    QuantConfig quantization() {
        QuantConfig out = QuantConfig.DEFAULT;
        out = loadIn4bit == null ? out : out.withLoad4bit(loadIn4bit);
        return computeDtype == null ? out : out.withComputeDtype(computeDtype);
    }

    /** The adapter that answers or reads unless a request names another; null for the base. */
    @Nullable String modelName(@Nullable String own) {
        return own != null || adapter == null ? own : ADAPTER;
    }

    QloraChatOptions options() {
        return QloraChatOptions.builder()
                .model(modelName(chat.model))
                .temperature(chat.temperature)
                .topP(chat.topP)
                .topK(chat.topK)
                .minP(chat.minP)
                .maxTokens(chat.maxTokens)
                .stopSequences(chat.stopSequences)
                .seed(chat.seed)
                .frequencyPenalty(chat.frequencyPenalty)
                .presencePenalty(chat.presencePenalty)
                .repetitionPenalty(chat.repetitionPenalty)
                .build();
    }
}

package org.qlora4j.springai.autoconfigure;

import io.micrometer.observation.ObservationRegistry;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import org.qlora4j.LanguageModel;
import org.qlora4j.TextService;
import org.qlora4j.springai.QloraChatModel;
import org.qlora4j.springai.QloraEmbeddingModel;
import org.springframework.ai.chat.observation.ChatModelObservationConvention;
import org.springframework.ai.model.SpringAIModelProperties;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;

/**
 * Loads the model of {@code spring.ai.qlora4j.model}, serves it, and makes it Spring AI's chat and
 * embedding model. A bean of the application goes before each of these. {@code
 * spring.ai.model.chat} and {@code spring.ai.model.embedding} choose among several providers, here
 * {@code qlora4j}. The context closes what it has made.
 */
@AutoConfiguration
@ConditionalOnProperty("spring.ai.qlora4j.model")
@EnableConfigurationProperties(QloraProperties.class)
public class QloraAutoConfiguration {
    private static final String NAME = "qlora4j";

    /** The model in memory. */
    @Bean
    @ConditionalOnMissingBean
    public LanguageModel qloraLanguageModel(QloraProperties properties) {
        String model = Objects.requireNonNull(properties.model(), "spring.ai.qlora4j.model");
        return LanguageModel.load(Path.of(model), properties.quantization());
    }

    /** What answers, with the adapters loaded. */
    @Bean
    @ConditionalOnMissingBean
    public TextService qloraTextService(LanguageModel model, QloraProperties properties) {
        TextService service = model.serve(properties.service().config());
        try {
            properties.adapters().forEach((name, folder) -> service.load(name, Path.of(folder)));
            String adapter = properties.adapter();
            if (adapter != null) {
                service.load(QloraProperties.ADAPTER, Path.of(adapter));
            }
            return service;
        } catch (RuntimeException | Error e) {
            service.close();
            throw e;
        }
    }

    /** The chat model. */
    @Bean
    @ConditionalOnMissingBean
    @ConditionalOnProperty(
            name = SpringAIModelProperties.CHAT_MODEL,
            havingValue = NAME,
            matchIfMissing = true)
    public QloraChatModel qloraChatModel(
            TextService service,
            QloraProperties properties,
            ObjectProvider<ObservationRegistry> registry,
            ObjectProvider<ChatModelObservationConvention> convention) {
        QloraChatModel.Builder builder =
                QloraChatModel.builder()
                        .service(service)
                        .options(properties.options())
                        .observationRegistry(registry.getIfUnique(() -> ObservationRegistry.NOOP));
        Duration timeout = properties.chat().timeout();
        if (timeout != null) {
            builder.timeout(timeout);
        }
        convention.ifAvailable(builder::observationConvention);
        return builder.build();
    }

    /** The embedding model. */
    @Bean
    @ConditionalOnMissingBean
    @ConditionalOnProperty(
            name = SpringAIModelProperties.EMBEDDING_MODEL,
            havingValue = NAME,
            matchIfMissing = true)
    public QloraEmbeddingModel qloraEmbeddingModel(
            TextService service,
            QloraProperties properties,
            ObjectProvider<ObservationRegistry> registry) {
        return new QloraEmbeddingModel(
                service,
                properties.modelName(properties.embedding().model()),
                registry.getIfUnique(() -> ObservationRegistry.NOOP));
    }
}

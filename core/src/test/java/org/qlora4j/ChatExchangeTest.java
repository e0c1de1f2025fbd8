package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.StopReason;
import org.qlora4j.generate.Token;
import org.qlora4j.grammar.JsonGrammar;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.testing.TinyLlama;

/** Chats with tools over a model of 27,000 weights, whose template writes them as Hermes does. */
class ChatExchangeTest {
    private static final Duration MINUTE = Duration.ofMinutes(1);

    @TempDir Path folder;

    private static ChatQuestion question(
            boolean tools, boolean mustCall, @Nullable JsonGrammar grammar) {
        return question(tools, mustCall, grammar, GenerationConfig.DEFAULT);
    }

    private static ChatQuestion question(
            boolean tools,
            boolean mustCall,
            @Nullable JsonGrammar grammar,
            GenerationConfig config) {
        return new ChatQuestion(
                null,
                List.of(ChatQuestion.message("user", "Hi")),
                tools
                        ? List.of(
                                ChatQuestion.tool(
                                        "ring",
                                        null,
                                        Map.of(
                                                "type",
                                                "object",
                                                "properties",
                                                Map.of(),
                                                "additionalProperties",
                                                false)))
                        : List.of(),
                mustCall,
                grammar,
                config);
    }

    /**
     * Joins an exchange's answer in every step and holds each up for 0.1 s until its end was asked
     * for: the answer cannot be whole before.
     */
    private static final class Brake implements TextListener {
        volatile @Nullable ChatExchange until;

        @Override
        public void token(Token token, String text) {
            for (int i = 0; i < 20 && (until == null || !until.isCancelled()); i++) {
                LockSupport.parkNanos(5_000_000);
            }
        }

        @Override
        public void ended(String rest, Answer answer) {}

        @Override
        public void failed(RuntimeException failure) {}
    }

    @Test
    void exchange_findsCallsAndEndsAsItMay() throws Exception {
        TinyLlama.copyTo(folder, "chat_template.jinja", "generation_config.json");
        Files.writeString(
                folder.resolve("chat_template.jinja"),
                "{%- for t in tools or [] %}<tool_call>{{ t.function.name }}{% endfor %}{{ messages[0].content }}");
        QuantConfig plain =
                QuantConfig.DEFAULT.withLoad4bit(false).withComputeDtype(ComputeDtype.FLOAT32);
        try (LanguageModel model = LanguageModel.load(folder, plain);
                TextService service = model.serve(new ServiceConfig(2, 16, 4))) {
            StringBuilder said = new StringBuilder();
            ChatExchange.Reply called =
                    new ChatExchange(service, question(true, true, null), MINUTE).run(said::append);
            assertThat(said.toString()).isEqualTo(called.text()).isEmpty();
            assertThat(called.calls()).hasSize(1);
            assertThat(called.calls().getFirst().name()).isEqualTo("ring");
            assertThat(called.calls().getFirst().arguments()).isEqualTo("{}");
            // mistralai's templates refuse ids of another form
            assertThat(called.calls().getFirst().id()).matches("[a-zA-Z0-9]{9}");

            GenerationConfig most =
                    GenerationConfig.builder().minNewTokens(50).maxNewTokens(50).build();
            ChatExchange cancelled =
                    new ChatExchange(service, question(false, false, null, most), MINUTE);
            Brake brake = new Brake();
            service.submit(new TextRequest(null, new Prompt.Ids(List.of(1)), most), brake);
            brake.until = cancelled;
            ChatExchange.Reply cut = cancelled.run(text -> cancelled.cancel());
            assertThat(cancelled.isCancelled()).isTrue();
            assertThat(cut.answer().stopReason()).isEqualTo(StopReason.CANCELLED);
            ChatExchange failing = new ChatExchange(service, question(false, false, null), MINUTE);
            assertThatThrownBy(() ->
                            failing.run(text -> {
                                throw new IllegalStateException("no");
                            }))
                    .hasMessage("no");
            assertThat(failing.isCancelled()).isTrue();
            Thread.currentThread().interrupt();
            assertThatThrownBy(() ->
                            new ChatExchange(service, question(false, false, null), MINUTE)
                                    .run(text -> {}))
                    .isInstanceOf(CancellationException.class);
            assertThat(Thread.interrupted()).isTrue();
            assertThatThrownBy(() ->
                            new ChatExchange(service, question(false, false, null), Duration.ZERO)
                                    .run(text -> {}))
                    .isInstanceOf(AnswerTimeoutException.class);
            assertThatThrownBy(() ->
                            new ChatExchange(
                                    service,
                                    question(true, false, JsonGrammar.anyObject()),
                                    MINUTE))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("exclude each other");
        }
    }
}

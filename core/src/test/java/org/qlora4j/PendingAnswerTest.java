package org.qlora4j;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.StopReason;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;

/** An answer that nobody wants any more ends, keeps what it has, and lets the next one begin. */
class PendingAnswerTest {
    private static final QuantConfig F32 =
            new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);
    private static final GenerationConfig MAX_24 = GenerationConfig.DEFAULT.withMaxNewTokens(24);

    private final LanguageModel model = LanguageModel.load(TinyLlama.folder(), F32);
    private final JsonNode expected = TinyLlama.expected().get("chats").get(0);

    @AfterEach
    void close() {
        model.close();
    }

    private Prompt prompt() {
        JsonNode messages = expected.get("messages");
        return new Prompt.Chat(
                messages.valueStream()
                        .map(m ->
                                Map.<String, Object>of(
                                        "role", m.get("role").asString(),
                                        "content", m.get("content").asString()))
                        .toList());
    }

    /** Holds the answer at its first piece of text until it may go on. */
    private record Gate(CountDownLatch reached, CountDownLatch opened) implements Consumer<String> {
        Gate() {
            this(new CountDownLatch(1), new CountDownLatch(1));
        }

        @Override
        public void accept(String piece) {
            reached.countDown();
            await(opened);
        }

        static void await(CountDownLatch latch) {
            try {
                assertThat(latch.await(60, TimeUnit.SECONDS)).isTrue();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    private void assertPartial(Answer answer) {
        assertThat(answer.stopReason()).isEqualTo(StopReason.CANCELLED);
        assertThat(answer.newTokens()).isLessThan(expected.get("new_ids").size());
        assertThat(expected.get("text").asString()).startsWith(answer.text());
        assertThat(answer.text()).isNotEmpty();
        Answer next = model.start(prompt(), MAX_24, text -> {}).await();
        assertThat(next.text()).isEqualTo(expected.get("text").asString());
    }

    @Test
    void cancelledFromOutside_returnsWhatThereIs() {
        Gate gate = new Gate();
        PendingAnswer answer = model.start(prompt(), MAX_24, gate);
        Gate.await(gate.reached());
        assertThat(answer.isDone()).isFalse();
        answer.cancel();
        gate.opened().countDown();
        assertPartial(answer.await());
        assertThat(answer.isDone()).isTrue();
    }

    @Test
    void interruptedWaiter_getsWhatThereIsAndStaysInterrupted() throws InterruptedException {
        Gate gate = new Gate();
        AtomicReference<Answer> got = new AtomicReference<>();
        AtomicBoolean flag = new AtomicBoolean();
        Thread waiter =
                new Thread(() -> {
                    PendingAnswer answer = model.start(prompt(), MAX_24, gate);
                    got.set(answer.await());
                    flag.set(Thread.currentThread().isInterrupted());
                });
        waiter.start();
        Gate.await(gate.reached());
        waiter.interrupt();
        while (waiter.isInterrupted() || waiter.getState() != Thread.State.WAITING) {
            Thread.onSpinWait(); // it takes the flag, cancels, and waits again for the end
        }
        gate.opened().countDown();
        waiter.join(60_000);
        assertPartial(requireNonNull(got.get()));
        assertThat(flag).isTrue();
    }

    @Test
    void cancelledBeforeItsTurn_doesNotWaitForIt() {
        CountDownLatch free = new CountDownLatch(1);
        var busy =
                Engine.submit(() -> {
                    Gate.await(free);
                    return "";
                });
        PendingAnswer answer = model.start(prompt(), MAX_24, text -> {});
        answer.cancel();
        assertThat(answer.isDone()).isTrue();
        assertThat(answer.await().stopReason()).isEqualTo(StopReason.CANCELLED);
        assertThat(answer.await().newTokens()).isZero();
        assertThat(busy.isDone()).isFalse();
        free.countDown();
    }

    @Test
    void mistakes_comeOutWhereTheAnswerIsAwaited() {
        Prompt none = new Prompt.Chat(List.of());
        PendingAnswer answer = model.start(none, MAX_24, text -> {});
        assertThatThrownBy(answer::await)
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("messages");
        Prompt ids = new Prompt.Ids(List.of());
        assertThatThrownBy(() -> model.start(ids, MAX_24, text -> {}).await())
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("the prompt is empty");
        Prompt stranger =
                new Prompt.Chat(List.of(Map.of("role", "usr", "content", "Where is it?")));
        assertThatThrownBy(() -> model.start(stranger, MAX_24, text -> {}).await())
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("usr");
    }
}

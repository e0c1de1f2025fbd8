package org.qlora4j.app.serve;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Answer;
import org.qlora4j.Prompt;
import org.qlora4j.TextListener;
import org.qlora4j.TextRequest;
import org.qlora4j.TextService;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Token;

/** Times a service: each request alone, then all together. */
public final class ServeLoad {
    private static final int PRIME = 17; // lengths differ, so that texts join and leave

    private final TextService service;
    private final int promptTokens;
    private final int newTokens;

    /** A request of a benchmark. */
    public record Asked(@Nullable String adapter, List<Integer> prompt, GenerationConfig config) {}

    /**
     * What was measured.
     *
     * @param equal answers that are together what they are alone
     * @param chunkSeconds that reading a prompt takes
     */
    public record Result(
            double aloneTokensPerSecond,
            double togetherTokensPerSecond,
            int equal,
            double firstAloneSeconds,
            double firstLoadedSeconds,
            double chunkSeconds) {}

    public ServeLoad(TextService service, int promptTokens, int newTokens) {
        this.service = service;
        this.promptTokens = promptTokens;
        this.newTokens = newTokens;
    }

    /** A request of random tokens, the same for the same number. */
    public Asked asked(@Nullable String adapter, int number) {
        Random random = new Random(number);
        List<Integer> prompt = new ArrayList<>();
        int limit = Math.min(service.vocabularySize(), 30_000);
        for (int i = 0; i < promptTokens; i++) {
            prompt.add(random.nextInt(limit / 10, limit));
        }
        int length = Math.max(1, newTokens - number * PRIME % Math.max(1, newTokens / 4));
        GenerationConfig config =
                GenerationConfig.DEFAULT.withMaxNewTokens(length).withMinNewTokens(length);
        return new Asked(adapter, prompt, config);
    }

    /** An answer as it came. */
    private static final class Told implements TextListener {
        private final List<Integer> tokens = new ArrayList<>();
        private final CountDownLatch first = new CountDownLatch(1);
        private final CountDownLatch end = new CountDownLatch(1);
        private volatile @Nullable RuntimeException failure;
        private volatile @Nullable Answer answer;
        private final long start = System.nanoTime();
        private volatile long firstNanos;

        @Override
        public void token(Token token, String text) {
            if (tokens.isEmpty()) {
                firstNanos = System.nanoTime() - start;
                first.countDown();
            }
            tokens.add(token.id());
        }

        @Override
        public void ended(String rest, Answer whole) {
            answer = whole;
            first.countDown();
            end.countDown();
        }

        @Override
        public void failed(RuntimeException thrown) {
            failure = thrown;
            first.countDown();
            end.countDown();
        }

        Told await(CountDownLatch latch) {
            try {
                latch.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException(e);
            }
            RuntimeException thrown = failure;
            if (thrown != null) {
                throw thrown;
            }
            return this;
        }
    }

    private Told begin(Asked asked) {
        Told told = new Told();
        service.submit(
                new TextRequest(asked.adapter(), new Prompt.Ids(asked.prompt()), asked.config()),
                told);
        return told;
    }

    /** Runs all once to warm, each alone, then all together. */
    public Result run(List<Asked> all) {
        together(all);
        forgetPrompts(all.size());
        List<List<Integer>> alone = new ArrayList<>();
        double seconds = 0;
        long tokens = 0;
        double firstAlone = Double.POSITIVE_INFINITY;
        double prefill = Double.POSITIVE_INFINITY;
        for (Asked each : all) {
            Told told = begin(each);
            told.await(told.end);
            Answer answer = Objects.requireNonNull(told.answer, "it has ended");
            alone.add(told.tokens);
            tokens += told.tokens.size();
            seconds += answer.prefillSeconds() + answer.decodeSeconds();
            firstAlone = Math.min(firstAlone, told.firstNanos / 1e9);
            prefill = Math.min(prefill, answer.prefillSeconds());
        }
        forgetPrompts(all.size());
        long start = System.nanoTime();
        List<Told> told = together(all);
        double wall = (System.nanoTime() - start) / 1e9;
        int equal = 0;
        for (int i = 0; i < all.size(); i++) {
            equal += told.get(i).tokens.equals(alone.get(i)) ? 1 : 0;
        }
        double loaded = firstUnderLoad(all);
        return new Result(tokens / seconds, tokens / wall, equal, firstAlone, loaded, prefill);
    }

    /** Lets other texts take all rows, so that no prompt is known from before. */
    private void forgetPrompts(int rows) {
        List<Asked> others = new ArrayList<>();
        for (int i = 0; i < rows; i++) {
            Asked other = asked(null, 100_000 + i);
            others.add(
                    new Asked(
                            null,
                            other.prompt(),
                            other.config().withMinNewTokens(0).withMaxNewTokens(2)));
        }
        together(others);
    }

    private List<Told> together(List<Asked> all) {
        List<Told> told = all.stream().map(this::begin).toList();
        told.forEach(each -> each.await(each.end));
        return told;
    }

    /** The wait of the last for its first token, once all others have theirs. */
    private double firstUnderLoad(List<Asked> all) {
        List<Told> others = all.subList(1, all.size()).stream().map(this::begin).toList();
        others.forEach(each -> each.await(each.first));
        Asked fresh = asked(all.getFirst().adapter(), 1000 + all.size());
        Told last = begin(fresh);
        last.await(last.first);
        last.await(last.end);
        others.forEach(each -> each.await(each.end));
        return last.firstNanos / 1e9;
    }
}

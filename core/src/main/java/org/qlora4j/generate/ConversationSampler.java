package org.qlora4j.generate;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.BatchGenerator.Request;
import org.qlora4j.model.CausalModel;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Lets a model that was trained to chat write conversations alone, as Magpie does (arXiv
 * 2406.08464): given the chat template up to the opening of the user's turn it writes the user's
 * message, then its answer. Drops conversations with an empty message, one that does not end, or a
 * first message that is there already. Runs on the engine thread.
 */
public final class ConversationSampler {
    /** Where more are dropped than seven of eight, the model cannot do it. */
    private static final int MOST_ATTEMPTS = 8;

    private final Tokenizer tokenizer;
    private final SampleConfig config;
    private final BatchGenerator generator;
    private final UserTurn turn;
    private final Consumer<SampleProgress> listener;

    private final Queue<Request> ready = new ArrayDeque<>();
    private final Map<Integer, Draft> drafts = new TreeMap<>(); // under way and kept, by number
    private final Set<String> firstMessages = new HashSet<>();
    private int begun;
    private int kept;
    private int empty;
    private int truncated;
    private int duplicate;
    private long tokens;
    private final long start = System.nanoTime();

    /** A conversation so far. */
    private record Draft(List<Map<String, String>> messages, String closing) {
        boolean userSpeaks() {
            return messages.isEmpty() || !"user".equals(messages.getLast().get("role"));
        }
    }

    private ConversationSampler(
            CausalModel model,
            InferenceHead head,
            Tokenizer tokenizer,
            SampleConfig config,
            Consumer<SampleProgress> listener) {
        ChatTemplate template =
                tokenizer
                        .chatTemplate()
                        .orElseThrow(() ->
                                new ConfigException(
                                        "the model has no chat template, so that it cannot write a"
                                                + " conversation; use one that was trained to chat"));
        String bos = tokenizer.specialTokens().getOrDefault("bos_token", "");
        this.tokenizer = tokenizer;
        this.config = config;
        this.generator = new BatchGenerator(model, head, config.batch());
        this.turn = new UserTurn(template, bos, config.withoutSystem());
        this.listener = listener;
    }

    /**
     * Writes conversations; a function of model, settings and machine.
     *
     * @param listener is told after every conversation that ends
     * @return messages with role and content, in the order in which conversations were begun; fewer
     *     than asked for if too many had to be dropped
     * @throws ConfigException if the model has no chat template
     */
    public static List<List<Map<String, String>>> sample(
            CausalModel model,
            InferenceHead head,
            Tokenizer tokenizer,
            SampleConfig config,
            Consumer<SampleProgress> listener) {
        ConversationSampler sampler =
                new ConversationSampler(model, head, tokenizer, config, listener);
        sampler.generator.generate(sampler::next, sampler::ended);
        Collection<Draft> whole = sampler.drafts.values();
        return whole.stream().map(draft -> List.copyOf(draft.messages())).toList();
    }

    /** Goes on with a conversation where one waits, else begins one as long as some are missing. */
    private @Nullable Request next() {
        Request waiting = ready.poll();
        if (waiting != null) {
            return waiting;
        }
        int limit = Math.multiplyExact(config.conversations(), MOST_ATTEMPTS);
        if (drafts.size() >= config.conversations() || begun >= limit) {
            return null;
        }
        int number = begun++;
        List<Map<String, String>> messages = new ArrayList<>();
        if (config.system() != null) {
            messages.add(UserTurn.message("system", config.system()));
        }
        Draft draft = new Draft(messages, turn.closing(messages));
        drafts.put(number, draft);
        return request(number, draft);
    }

    /** What the model is given to write the next message of a conversation. */
    private Request request(int number, Draft draft) {
        List<Map<String, String>> messages = draft.messages();
        String prompt = draft.userSpeaks() ? turn.opening(messages) : turn.answerPrompt(messages);
        GenerationConfig drawn = config.generation();
        // each message has a seed of its own: a prime keeps those of two conversations apart
        long seed = drawn.seed() * 1_000_003 + number * 1009L + messages.size();
        return new Request(
                number,
                tokenizer.encode("conversation " + number, prompt, false),
                drawn.sampling(drawn.temperature(), drawn.topP(), seed));
    }

    private void ended(Request request, Generation generation) {
        int number = request.index();
        Draft draft = drafts.get(number);
        if (draft == null) {
            throw new IllegalStateException("conversation " + number + " was dropped");
        }
        tokens += generation.tokens().size();
        boolean user = draft.userSpeaks();
        String text = text(generation, user ? draft.closing() : null);
        if (text == null) {
            truncated++;
        } else if (text.isEmpty()) {
            empty++;
        } else if (user && isFirst(draft) && !firstMessages.add(text)) {
            duplicate++;
        } else {
            draft.messages().add(UserTurn.message(user ? "user" : "assistant", text));
            if (user || answers(draft) < config.turns()) {
                ready.add(request(number, draft));
                return;
            }
            kept++;
            report();
            return;
        }
        drafts.remove(number);
        report();
    }

    private static boolean isFirst(Draft draft) {
        return draft.messages().stream().noneMatch(m -> "user".equals(m.get("role")));
    }

    private static long answers(Draft draft) {
        return draft.messages().stream().filter(m -> "assistant".equals(m.get("role"))).count();
    }

    /** A message's text without white space around it; null if it did not end. */
    private @Nullable String text(Generation generation, @Nullable String closing) {
        int[] ids = generation.tokens().stream().mapToInt(Integer::intValue).toArray();
        if (closing != null && !closing.isEmpty()) {
            String all = tokenizer.decode(ids, false);
            int end = all.indexOf(closing);
            if (end >= 0) {
                return all.substring(0, end).strip();
            }
        }
        if (generation.stopReason() != StopReason.END_OF_TEXT) {
            return null;
        }
        // without the token that ended it, which not every tokenizer marks as special
        return tokenizer.decode(Arrays.copyOf(ids, ids.length - 1), true).strip();
    }

    private void report() {
        double seconds = (System.nanoTime() - start) / 1e9;
        listener.accept(
                new SampleProgress(
                        kept,
                        config.conversations(),
                        begun,
                        empty,
                        truncated,
                        duplicate,
                        tokens,
                        seconds));
    }
}

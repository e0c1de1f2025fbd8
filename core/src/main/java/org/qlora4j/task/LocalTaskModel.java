package org.qlora4j.task;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.generate.BatchGenerator;
import org.qlora4j.generate.BatchGenerator.Request;
import org.qlora4j.generate.Generation;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.StopReason;
import org.qlora4j.generate.TextOutput;
import org.qlora4j.generate.TextScorer;
import org.qlora4j.generate.TextScorer.Text;
import org.qlora4j.generate.Token;
import org.qlora4j.model.CausalModel;
import org.qlora4j.task.TaskResponse.Generated;
import org.qlora4j.task.TaskResponse.Likelihood;
import org.qlora4j.task.TaskResponse.Rolled;
import org.qlora4j.tokenize.Tokenizer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A model of this process. Texts become tokens as the harness' {@code hf} makes them, and too long
 * ones are cut as there, from the left. Runs on the engine thread.
 */
public final class LocalTaskModel implements TaskModel {
    /** Answers generated together unless told otherwise. */
    public static final int TEXTS_AT_ONCE = 8;

    private static final Logger LOG = LoggerFactory.getLogger(LocalTaskModel.class);

    private final CausalModel model;
    private final Tokenizer tokenizer;
    private final int tokensAtOnce;
    private final int textsAtOnce;
    private final int prefixId;
    private final String prefix;
    private int cut;
    private final TaskChat chat;

    /**
     * @param tokensAtOnce as in {@link TextScorer}
     * @param textsAtOnce answers that are generated together, at least 1
     */
    public LocalTaskModel(
            CausalModel model, Tokenizer tokenizer, int tokensAtOnce, int textsAtOnce) {
        this.model = model;
        this.tokenizer = tokenizer;
        this.tokensAtOnce = tokensAtOnce;
        this.textsAtOnce = textsAtOnce;
        this.chat = new TaskChat(tokenizer);
        this.prefixId =
                tokenizer
                        .bosId()
                        .orElseGet(() ->
                                tokenizer
                                        .eosId()
                                        .orElseThrow(() ->
                                                new FormatException(
                                                        "the tokenizer names neither bos_token nor eos_token, one of which stands before texts")));
        this.prefix = tokenizer.decode(new int[] {prefixId}, false);
    }

    @Override
    public String chat(List<Map<String, String>> messages, boolean open) {
        return chat.text(messages, open);
    }

    @Override
    public void answer(List<TaskRequest> requests, BiConsumer<Integer, TaskResponse> done) {
        cut = 0;
        score(requests, done);
        generate(requests, done);
        if (cut > 0) {
            LOG.warn(
                    "{} texts were longer than the model's context of {} tokens and lost their beginning",
                    cut,
                    model.maxPositions());
        }
    }

    /** Windows of a text that is scored, whose log-likelihoods are added. */
    private static final class Sum {
        final int request;
        final boolean rolling;
        int windows;
        double logLikelihood;
        boolean greedy = true;

        Sum(int request, boolean rolling) {
            this.request = request;
            this.rolling = rolling;
        }

        TaskResponse response() {
            return rolling ? new Rolled(logLikelihood) : new Likelihood(logLikelihood, greedy);
        }
    }

    private void score(List<TaskRequest> requests, BiConsumer<Integer, TaskResponse> done) {
        List<Text> texts = new ArrayList<>();
        List<Sum> sums = new ArrayList<>();
        for (int i = 0; i < requests.size(); i++) {
            List<Text> windows =
                    switch (requests.get(i)) {
                        case TaskRequest.LogLikelihood(String context, String continuation) ->
                                List.of(pair(context, continuation));
                        case TaskRequest.NextToken(String context, String continuation) ->
                                List.of(apart(context, continuation));
                        case TaskRequest.Rolling(String text) -> windows(text);
                        case TaskRequest.Generate g -> List.of();
                    };
            Sum sum = new Sum(i, requests.get(i) instanceof TaskRequest.Rolling);
            sum.windows = windows.size();
            windows.forEach(window -> sums.add(sum));
            texts.addAll(windows);
            if (sum.rolling && windows.isEmpty()) { // an empty text
                done.accept(i, sum.response());
            }
        }
        new TextScorer(model, tokensAtOnce)
                .score(
                        texts,
                        (text, score) -> {
                            Sum sum = sums.get(text);
                            int[] ids = texts.get(text).ids();
                            int from = texts.get(text).from();
                            sum.logLikelihood += score.sum();
                            sum.greedy &=
                                    Arrays.equals(
                                            ids,
                                            from,
                                            ids.length,
                                            score.likeliest(),
                                            0,
                                            score.likeliest().length);
                            if (--sum.windows == 0) {
                                done.accept(sum.request, sum.response());
                            }
                        });
    }

    /** How likely whole texts are: each token once, as for {@link TaskRequest.Rolling}. */
    public List<TextLikelihood> likelihoods(List<String> texts) {
        double[] sums = new double[texts.size()];
        int[] tokens = new int[texts.size()];
        List<Text> all = new ArrayList<>();
        List<Integer> textOf = new ArrayList<>(); // of each window
        for (int i = 0; i < sums.length; i++) {
            for (Text window : windows(texts.get(i))) {
                all.add(window);
                textOf.add(i);
                tokens[i] += window.ids().length - window.from();
            }
        }
        new TextScorer(model, tokensAtOnce)
                .score(all, (window, score) -> sums[textOf.get(window)] += score.sum());
        List<TextLikelihood> out = new ArrayList<>();
        for (int i = 0; i < sums.length; i++) {
            out.add(new TextLikelihood(sums[i], tokens[i]));
        }
        return out;
    }

    /** A context and what is scored behind it, as tokens. */
    private Text pair(String context, String continuation) {
        int[] before;
        int[] whole;
        if (context.isEmpty()) {
            int[] ids = tokenizer.encode("a continuation", continuation, false);
            if (ids.length > 0 && ids[0] == prefixId) {
                return cutLeft(ids, 1);
            }
            before = new int[] {prefixId};
            whole = joined(before, ids);
        } else {
            // spaces at the end belong to the token that follows them
            int spaces = PythonText.trailingSpaces(context);
            String plain = context.substring(0, context.length() - spaces);
            before = encode(plain);
            whole = encode(context + continuation);
        }
        return cutLeft(whole, before.length);
    }

    private Text apart(String context, String continuation) {
        String bos = tokenizer.specialTokens().getOrDefault("bos_token", "");
        int[] before = tokenizer.encode("a text of a task", bos + context, false);
        int[] after = tokenizer.encode("a choice", continuation, false);
        return cutLeft(
                joined(before, Arrays.copyOf(after, Math.min(1, after.length))), before.length);
    }

    private Text cutLeft(int[] ids, int from) {
        if (from >= ids.length) {
            throw new FormatException(
                    "a continuation has no token of its own behind its context; is it empty?");
        }
        int most = model.maxPositions() + 1;
        int left = Math.max(0, ids.length - most);
        if (from - left < 1) {
            throw FormatException.of(
                    "a continuation of %d tokens does not fit into the model's context of %d",
                    ids.length - from, model.maxPositions());
        }
        cut += left > 0 ? 1 : 0;
        return new Text(Arrays.copyOfRange(ids, left, ids.length), from - left);
    }

    /** Windows that score every token of a text once, each after as many as fit before it. */
    private List<Text> windows(String text) {
        int[] ids = encode(text);
        int most = model.maxPositions();
        List<Text> windows = new ArrayList<>();
        int first = Math.min(most, ids.length);
        if (first > 0) {
            int[] head = Arrays.copyOf(ids, first);
            windows.add(new Text(joined(new int[] {prefixId}, head), 1));
        }
        for (int done = first; done < ids.length; ) {
            int end = Math.min(ids.length, done + most);
            int start = end - most - 1;
            windows.add(new Text(Arrays.copyOfRange(ids, start, end), done - start));
            done = end;
        }
        return windows;
    }

    private int[] encode(String text) {
        return tokenizer.encode("a text of a task", text, !text.startsWith(prefix));
    }

    private static int[] joined(int[] a, int[] b) {
        int[] out = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, out, a.length, b.length);
        return out;
    }

    /** A continuation to be written. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Prompt(int request, int[] ids, TaskRequest.Generate asked) {}

    /** Many at once; the longest first, so that too little memory shows at once. */
    private void generate(List<TaskRequest> requests, BiConsumer<Integer, TaskResponse> done) {
        List<Prompt> prompts = new ArrayList<>();
        for (int i = 0; i < requests.size(); i++) {
            if (requests.get(i) instanceof TaskRequest.Generate asked) {
                prompts.add(new Prompt(i, promptIds(asked), asked));
            }
        }
        if (prompts.isEmpty()) {
            return;
        }
        prompts.sort(Comparator.comparingInt((Prompt p) -> p.ids().length).reversed());
        Map<Integer, TextOutput> outputs = new HashMap<>(); // of texts under way
        Iterator<Prompt> left = prompts.iterator();
        new BatchGenerator(model, textsAtOnce)
                .generate(
                        () -> left.hasNext() ? begin(left.next(), outputs) : null,
                        (request, token) -> push(token, outputs.get(request.index())),
                        (request, generation) -> {
                            outputs.remove(request.index());
                            done.accept(
                                    request.index(),
                                    generated(requests.get(request.index()), generation));
                        });
    }

    private Request begin(Prompt prompt, Map<Integer, TextOutput> outputs) {
        GenerationSettings settings = prompt.asked().settings();
        outputs.put(
                prompt.request(), new TextOutput(tokenizer.stream(true), settings.stopStrings()));
        GenerationConfig config =
                GenerationConfig.builder()
                        .maxNewTokens(settings.maxTokens())
                        .doSample(settings.sample())
                        .temperature(settings.temperature())
                        .topP(settings.topP())
                        .seed(prompt.asked().repeat())
                        .build();
        return new Request(prompt.request(), prompt.ids(), config);
    }

    private @Nullable StopReason push(Token token, @Nullable TextOutput output) {
        if (output == null) {
            throw new IllegalStateException("a token of a text that is not under way");
        }
        output.push(token.id());
        return output.isStopped() ? StopReason.STOP_STRING : null;
    }

    private Generated generated(TaskRequest request, Generation generation) {
        int[] ids = generation.tokens().stream().mapToInt(Integer::intValue).toArray();
        String text = tokenizer.decode(ids, true);
        return new Generated(
                request instanceof TaskRequest.Generate asked ? asked.settings().cut(text) : text);
    }

    private int[] promptIds(TaskRequest.Generate asked) {
        int[] ids = encode(asked.context());
        int most = model.maxPositions() - asked.settings().maxTokens();
        if (most < 1) {
            throw FormatException.of(
                    "max_gen_toks %d must be less than the model's context of %d",
                    asked.settings().maxTokens(), model.maxPositions());
        }
        cut += ids.length > most ? 1 : 0;
        return ids.length > most ? Arrays.copyOfRange(ids, ids.length - most, ids.length) : ids;
    }
}

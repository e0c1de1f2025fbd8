package org.qlora4j.judge;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ask.CallJournal;
import org.qlora4j.ask.CallSettings;
import org.qlora4j.ask.ChatCall;
import org.qlora4j.ask.ChatMessage;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.ask.CostEstimate;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.ConfigException;
import tools.jackson.databind.json.JsonMapper;

/**
 * A judge compares answers, each pair in both orders. A reply that cannot be read is asked again in
 * the same chat. Everything it said stands in the journal; ratings are written at the end, each
 * order of two systems a file.
 */
public final class JudgeRun {
    private static final JsonMapper JSON = new JsonMapper();

    /** The journal's name in the folder of ratings. */
    public static final String TRANSCRIPT = "judge.calls.jsonl";

    /** Tells the seeds of second judgings from those of the first. */
    private static final long AGAIN = 1_000_003;

    private final JudgeConfig config;
    private final JudgePrompts prompts;
    private final List<Comparison> comparisons = new ArrayList<>();

    /**
     * Plans what is judged.
     *
     * @param reference in mode scores the system that the others stand beside; null in pairwise
     *     mode, where each meets each
     * @throws ConfigException if there are too few systems, or two of one name
     * @throws org.qlora4j.error.FormatException if an answer is missing
     */
    public JudgeRun(
            JudgeConfig config,
            JudgePrompts prompts,
            List<Question> questions,
            List<SystemAnswers> systems,
            @Nullable String reference) {
        this.config = config;
        this.prompts = prompts;
        for (List<SystemAnswers> pair : pairs(systems, reference)) {
            for (List<SystemAnswers> order : List.of(pair, pair.reversed())) {
                SystemAnswers a = order.get(0);
                SystemAnswers b = order.get(1);
                for (Question q : questions) {
                    comparisons.add(
                            new Comparison(q, a.system(), a.to(q), b.system(), b.to(q), false));
                }
            }
        }
        if (!config.labels()) { // what draws nothing says the same again
            repeat();
        }
    }

    private static List<List<SystemAnswers>> pairs(
            List<SystemAnswers> systems, @Nullable String reference) {
        SystemAnswers.requireComparable(systems);
        Map<String, SystemAnswers> byName = new LinkedHashMap<>();
        systems.forEach(system -> byName.put(system.system(), system));
        SystemAnswers beside = reference == null ? null : byName.get(reference);
        if (reference != null && beside == null) {
            throw ConfigException.of(
                    "--reference %s is not among the answers: %s", reference, byName.keySet());
        }
        List<List<SystemAnswers>> out = new ArrayList<>();
        for (int i = 0; i < systems.size(); i++) {
            for (int j = i + 1; j < systems.size(); j++) {
                SystemAnswers a = systems.get(i);
                SystemAnswers b = systems.get(j);
                if (beside == null || beside == a || beside == b) {
                    out.add(List.of(a, b));
                }
            }
        }
        return out;
    }

    /** Adds an even share of the comparisons a second time. */
    private void repeat() {
        List<Comparison> again = new ArrayList<>();
        double owed = 0;
        for (Comparison pair : comparisons) {
            owed += config.again();
            if (owed >= 1) {
                owed--;
                again.add(pair.repeated());
            }
        }
        comparisons.addAll(again);
    }

    /** Comparisons that are judged, those judged again too. */
    public int size() {
        return comparisons.size();
    }

    /**
     * What the first replies that the journal has not will take; replies asked again come on top.
     */
    public CostEstimate estimate(ChatModel judge, CallJournal journal) {
        List<ChatCall> calls =
                comparisons.stream()
                        .map(c -> call(c, prompts.messages(c, config.labels())))
                        .toList();
        return CostEstimate.of(judge, journal.missing(judge, calls));
    }

    private CallSettings settings(Comparison pair) {
        JudgePrompts.Reviewer reviewer =
                prompts.reviewers().get(prompts.reviewer(pair.question().category()));
        Double temperature = config.temperature();
        Integer maxTokens = config.maxTokens();
        return new CallSettings(
                temperature == null ? reviewer.temperature() : temperature,
                1,
                maxTokens == null ? reviewer.maxTokens() : maxTokens,
                config.seed() + (pair.again() ? AGAIN : 0),
                List.of());
    }

    private ChatCall call(Comparison pair, List<ChatMessage> messages) {
        return config.labels()
                ? ChatCall.choice(
                        messages, config.mode().labels(), new CallSettings(0, 1, 1, 0, List.of()))
                : ChatCall.chat(messages, settings(pair));
    }

    /**
     * Judges everything and writes the ratings into a folder.
     *
     * @param overwrite whether ratings that are there and differ may be replaced
     * @param onJudged takes how many first replies there are
     */
    public JudgeResult run(
            ChatModel judge,
            CallJournal journal,
            Path folder,
            boolean overwrite,
            IntConsumer onJudged) {
        List<Rating> ratings = judged(judge, journal, onJudged);
        if (config.calibrated()) {
            ratings = LabelCalibration.of(ratings).apply(ratings);
        }
        Map<String, StringBuilder> files = new LinkedHashMap<>();
        for (Rating rating : ratings) {
            if (rating.comparison().again()) {
                continue;
            }
            files.computeIfAbsent(fileName(rating.comparison(), judge), f -> new StringBuilder())
                    .append(JSON.writeValueAsString(rating.json(prompts, judge.name(), config)))
                    .append('\n');
        }
        files.forEach((name, text) -> write(folder.resolve(name), text.toString(), overwrite));
        return JudgeResult.of(ratings, files.size());
    }

    private String fileName(Comparison pair, ChatModel judge) {
        String name = judge.name().replaceAll("[^A-Za-z0-9._-]", "_");
        return pair.first() + "-vs-" + pair.second() + "-" + name + config.mode().ending();
    }

    private static void write(Path file, String text, boolean overwrite) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        try {
            boolean differs = Files.exists(file) && !Arrays.equals(Files.readAllBytes(file), bytes);
            if (differs && !overwrite) {
                throw ConfigException.of(
                        "%s holds other ratings; add --overwrite to replace them, or name another --out",
                        file);
            }
        } catch (IOException e) {
            throw new ConfigException("%s cannot be read: %s".formatted(file, e), e);
        }
        AtomicFiles.write(file, bytes);
    }

    private List<Rating> judged(ChatModel judge, CallJournal journal, IntConsumer onJudged) {
        Rating[] ratings = new Rating[comparisons.size()];
        List<List<ChatMessage>> chats = new ArrayList<>();
        comparisons.forEach(c -> chats.add(new ArrayList<>(prompts.messages(c, config.labels()))));
        CallJournal.Entry[] first = new CallJournal.Entry[ratings.length];
        List<Integer> open = new ArrayList<>();
        for (int i = 0; i < ratings.length; i++) {
            open.add(i);
        }
        int[] done = new int[1];
        for (int attempt = 1; attempt <= config.attempts() && !open.isEmpty(); attempt++) {
            List<Integer> now = open;
            List<ChatCall> calls =
                    now.stream().map(i -> call(comparisons.get(i), chats.get(i))).toList();
            done[0] += attempt == 1 ? calls.size() - journal.missing(judge, calls).size() : 0;
            boolean counts = attempt == 1;
            List<CallJournal.Entry> replies =
                    journal.answer(
                            judge, calls, () -> onJudged.accept(counts ? ++done[0] : done[0]));
            open = new ArrayList<>();
            for (int n = 0; n < now.size(); n++) {
                int i = now.get(n);
                CallJournal.Entry entry = replies.get(n);
                first[i] = first[i] == null ? entry : first[i];
                List<Double> read = config.mode().parse(entry.reply().text());
                boolean last = attempt == config.attempts();
                if (!read.isEmpty() || last) {
                    CallJournal.Entry kept = read.isEmpty() ? first[i] : entry;
                    ratings[i] =
                            new Rating(
                                    comparisons.get(i),
                                    read,
                                    kept,
                                    calls.get(n).settings(),
                                    attempt);
                } else {
                    chats.get(i).add(ChatMessage.assistant(entry.reply().text()));
                    chats.get(i).add(ChatMessage.user(config.mode().reminder()));
                    open.add(i);
                }
            }
        }
        return List.of(ratings);
    }
}

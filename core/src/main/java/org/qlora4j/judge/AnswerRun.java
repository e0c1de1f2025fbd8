package org.qlora4j.judge;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
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
 * A model answers questions, turn after turn; all questions of a turn together.
 *
 * @param questions what is asked
 * @param settings how answers are drawn; the seed of each question is one higher
 * @param guanaco whether the prompts are the paper's raw ones instead of chats
 */
public record AnswerRun(List<Question> questions, CallSettings settings, boolean guanaco) {
    private static final JsonMapper JSON = new JsonMapper();

    private static final String NEXT_TURN = "###";

    /**
     * Texts that end an answer.
     *
     * @param guanaco whether prompts are the paper's
     */
    public static List<String> stop(boolean guanaco) {
        return guanaco ? List.of(NEXT_TURN) : List.of();
    }

    public AnswerRun {
        for (Question question : questions) {
            if (guanaco && question.turns().size() > 1) {
                throw ConfigException.of(
                        "--guanaco: question %s has %d turns, the paper's prompts have one",
                        question.key(), question.turns().size());
            }
        }
    }

    /** Answers wanted, over all turns. */
    public int calls() {
        return questions.stream().mapToInt(q -> q.turns().size()).sum();
    }

    /** What the calls that the journal has not will take, at most. */
    public CostEstimate estimate(ChatModel model, CallJournal journal) {
        List<ChatCall> first = new ArrayList<>();
        for (int i = 0; i < questions.size(); i++) {
            first.add(call(i, List.of()));
        }
        CostEstimate sum = CostEstimate.of(model, journal.missing(model, first));
        for (int i = 0; i < questions.size(); i++) {
            sum = sum.plus(later(model, journal, i));
        }
        return sum;
    }

    /** The turns after the first; where an answer before is missing, as if it were the longest. */
    private CostEstimate later(ChatModel model, CallJournal journal, int index) {
        CostEstimate sum = new CostEstimate(0, 0, 0);
        List<String> answers = new ArrayList<>();
        long unknown = 0; // tokens of answers that are still to come
        for (int turn = 1; turn < questions.get(index).turns().size(); turn++) {
            CallJournal.Entry before =
                    unknown > 0 ? null : journal.find(model, call(index, answers));
            answers.add(before == null ? "" : before.reply().text());
            unknown += before == null ? settings.maxTokens() : 0;
            List<ChatCall> next = List.of(call(index, answers));
            if (unknown > 0 || !journal.missing(model, next).isEmpty()) {
                sum = sum.plus(CostEstimate.of(model, next)).plus(new CostEstimate(0, unknown, 0));
            }
        }
        return sum;
    }

    /** The call for the turn that follows the answers so far. */
    private ChatCall call(int index, List<String> answers) {
        Question question = questions.get(index);
        CallSettings own = settings.withSeed(settings.seed() + index);
        if (guanaco) {
            return ChatCall.raw(question.guanacoPrompt(), own);
        }
        List<ChatMessage> messages = new ArrayList<>(question.before());
        for (int turn = 0; turn <= answers.size(); turn++) {
            messages.add(ChatMessage.user(question.turns().get(turn)));
            if (turn < answers.size()) {
                messages.add(ChatMessage.assistant(answers.get(turn)));
            }
        }
        return ChatCall.chat(messages, own);
    }

    /**
     * Gets all answers and writes them in the order of the questions.
     *
     * @param onAnswer takes how many answers there are
     */
    public void run(ChatModel model, CallJournal journal, Path out, IntConsumer onAnswer) {
        List<List<CallJournal.Entry>> entries = new ArrayList<>();
        questions.forEach(q -> entries.add(new ArrayList<>()));
        int most = questions.stream().mapToInt(q -> q.turns().size()).max().orElse(0);
        int[] done = new int[1];
        for (int turn = 0; turn < most; turn++) {
            List<Integer> asked = new ArrayList<>();
            List<ChatCall> calls = new ArrayList<>();
            for (int i = 0; i < questions.size(); i++) {
                if (turn < questions.get(i).turns().size()) {
                    asked.add(i);
                    calls.add(call(i, texts(entries.get(i))));
                }
            }
            done[0] += calls.size() - journal.missing(model, calls).size();
            List<CallJournal.Entry> replies =
                    journal.answer(model, calls, () -> onAnswer.accept(++done[0]));
            for (int i = 0; i < asked.size(); i++) {
                entries.get(asked.get(i)).add(replies.get(i));
            }
        }
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < questions.size(); i++) {
            lines.append(JSON.writeValueAsString(record(model, i, entries.get(i)))).append('\n');
        }
        AtomicFiles.writeText(out, lines.toString());
    }

    private static List<String> texts(List<CallJournal.Entry> entries) {
        return entries.stream().map(e -> e.reply().text()).toList();
    }

    /** A line of the file, named as in the released ones. */
    private Map<String, Object> record(
            ChatModel model, int index, List<CallJournal.Entry> entries) {
        Question question = questions.get(index);
        List<String> texts = texts(entries);
        String generation = texts.getLast();
        String judged = guanaco ? truncated(generation) : generation.strip();
        Map<String, Object> out = new LinkedHashMap<>();
        out.put(question.idField(), question.id());
        out.put("text", question.text());
        out.put("category", question.category());
        out.put("prompt", guanaco ? question.guanacoPrompt() : question.turns().getLast());
        out.put("generation", generation);
        out.put("generation_truncated", judged);
        if (texts.size() > 1) {
            Map<String, Object> choice = new LinkedHashMap<>();
            choice.put("index", 0);
            choice.put("turns", texts);
            out.put("choices", List.of(choice));
        }
        out.put("answer_id", ShortId.of(texts.size() > 1 ? String.join("\n", texts) : judged));
        out.put("model_id", model.name());
        Map<String, Object> metadata = new LinkedHashMap<>(settings.json());
        metadata.put("seed", settings.seed() + index);
        metadata.put(
                "prompt_tokens", entries.stream().mapToInt(e -> e.reply().promptTokens()).sum());
        metadata.put(
                "completion_tokens", entries.stream().mapToInt(e -> e.reply().newTokens()).sum());
        metadata.put("finish_reason", entries.getLast().reply().finishReason());
        metadata.put("date", entries.getLast().date());
        out.put("metadata", metadata);
        return out;
    }

    /** Up to the next turn that a model wrote itself, without blanks around it. */
    static String truncated(String generation) {
        int end = generation.indexOf(NEXT_TURN);
        String own = end < 0 ? generation : generation.substring(0, end);
        int chat = own.indexOf(SystemAnswers.NEXT_CHAT);
        return (chat < 0 ? own : own.substring(0, chat)).strip();
    }
}

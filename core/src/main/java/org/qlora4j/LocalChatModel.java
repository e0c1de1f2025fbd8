package org.qlora4j;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.qlora4j.ask.CallSettings;
import org.qlora4j.ask.ChatCall;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.ask.ChatReply;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Notice;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.StopReason;

/** A {@link LanguageModel} of this process as a {@link ChatModel}. */
final class LocalChatModel implements ChatModel {
    private final LanguageModel model;
    private final String name;
    private final String identity;
    private final int batch;

    LocalChatModel(LanguageModel model, String name, String identity, int batch) {
        this.model = model;
        this.name = name;
        this.identity = identity;
        this.batch = batch;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String identity() {
        return identity;
    }

    @Override
    public void answer(List<ChatCall> calls, BiConsumer<Integer, ChatReply> onReply) {
        List<Integer> texts = new ArrayList<>();
        List<Integer> choices = new ArrayList<>();
        for (int i = 0; i < calls.size(); i++) {
            (calls.get(i).labels().isEmpty() ? texts : choices).add(i);
        }
        if (!choices.isEmpty()) {
            choose(calls, choices, onReply);
        }
        if (!texts.isEmpty()) {
            write(calls, texts, onReply);
        }
    }

    private void choose(
            List<ChatCall> calls, List<Integer> which, BiConsumer<Integer, ChatReply> onReply) {
        model.scoreLabels(
                which.stream().map(i -> prompt(calls.get(i))).toList(),
                which.stream().map(i -> calls.get(i).labels()).toList(),
                (at, scores) -> {
                    int call = which.get(at);
                    List<Double> logs = scores.logProbabilities();
                    int best = 0;
                    for (int i = 1; i < logs.size(); i++) {
                        best = logs.get(i) > logs.get(best) ? i : best;
                    }
                    String label = calls.get(call).labels().get(best);
                    onReply.accept(
                            call, new ChatReply(label, scores.promptTokens(), 0, "label", logs));
                });
    }

    private void write(
            List<ChatCall> calls, List<Integer> which, BiConsumer<Integer, ChatReply> onReply) {
        model.generateEach(
                which.stream().map(i -> prompt(calls.get(i))).toList(),
                which.stream().map(i -> config(calls.get(i).settings())).toList(),
                batch,
                (at, answer) -> onReply.accept(which.get(at), reply(answer)));
    }

    private static ChatReply reply(Answer answer) {
        boolean whole =
                answer.stopReason() == StopReason.END_OF_TEXT
                        || answer.stopReason() == StopReason.STOP_STRING;
        return ChatReply.text(
                answer.text(),
                answer.promptTokens(),
                answer.newTokens(),
                whole ? "stop" : "length");
    }

    private static GenerationConfig config(CallSettings settings) {
        return GenerationConfig.builder()
                .maxNewTokens(settings.maxTokens())
                .temperatureOrGreedy(settings.temperature())
                .topP(settings.topP())
                .stopStrings(settings.stop())
                .seed(settings.seed())
                .build();
    }

    private Prompt prompt(ChatCall call) {
        String raw = call.raw();
        if (raw != null) {
            return new Prompt.Raw(raw);
        }
        Prompt chat = new Prompt.Chat(call.messagesJson());
        boolean system = call.messages().getFirst().role().equals("system");
        if (!system || call.messages().size() < 2) {
            return chat;
        }
        try {
            model.promptTokens(chat);
            return chat;
        } catch (FormatException e) { // a template that takes no system message
            Notice.say(
                    "the chat template of %s takes no system message; it stands before the first question"
                            .formatted(name));
            return new Prompt.Chat(withoutSystem(call));
        }
    }

    private static List<Map<String, Object>> withoutSystem(ChatCall call) {
        List<Map<String, Object>> messages = call.messagesJson();
        Object system = messages.removeFirst().get("content");
        Map<String, Object> first = messages.getFirst();
        first.put("content", system + "\n\n" + first.get("content"));
        return messages;
    }

    @Override
    public long promptTokens(ChatCall call) {
        return model.promptTokens(prompt(call));
    }

    /** The model stays its owner's. */
    @Override
    public void close() {}
}

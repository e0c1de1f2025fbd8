package org.qlora4j.app;

import java.util.List;
import java.util.function.BiConsumer;
import org.qlora4j.LanguageModel;
import org.qlora4j.ask.ChatCall;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.ask.ChatReply;

/** A chat model of this process that takes its weights with it when it is closed. */
record OwnedChatModel(LanguageModel weights, ChatModel asked) implements ChatModel {
    @Override
    public String name() {
        return asked.name();
    }

    @Override
    public String identity() {
        return asked.identity();
    }

    @Override
    public void answer(List<ChatCall> calls, BiConsumer<Integer, ChatReply> onReply) {
        asked.answer(calls, onReply);
    }

    @Override
    public long promptTokens(ChatCall call) {
        return asked.promptTokens(call);
    }

    @Override
    public String troubles() {
        return asked.troubles();
    }

    @Override
    public void close() {
        weights.close();
    }
}

package org.qlora4j.ask;

import java.util.List;
import java.util.function.BiConsumer;

/** A model that replies to chats, in this process or elsewhere. */
public interface ChatModel extends AutoCloseable {
    /** What it is called where its replies are kept. */
    String name();

    /** Tells models apart whose replies may differ: name, and where or of what files it is. */
    String identity();

    /**
     * Replies to all calls.
     *
     * @param onReply takes each reply with the index of its call as it comes, one at a time
     * @throws org.qlora4j.error.UserException if one cannot be had; those taken so far stand
     */
    void answer(List<ChatCall> calls, BiConsumer<Integer, ChatReply> onReply);

    /** Tokens of a call's prompt, exact where the tokenizer is at hand. */
    default long promptTokens(ChatCall call) {
        return call.estimatedTokens();
    }

    /** What was hard about it, in one line; empty if nothing was. */
    default String troubles() {
        return "";
    }

    @Override
    void close();
}

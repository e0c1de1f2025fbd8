package org.qlora4j.judge;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.qlora4j.ask.ChatCall;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.ask.ChatReply;

/** A model that is a function, and remembers what it was asked. */
record FunctionModel(Function<ChatCall, String> function, List<ChatCall> asked)
        implements ChatModel {
    FunctionModel(Function<ChatCall, String> function) {
        this(function, new ArrayList<>());
    }

    @Override
    public String name() {
        return "function";
    }

    @Override
    public String identity() {
        return "function 1";
    }

    @Override
    public void answer(List<ChatCall> calls, BiConsumer<Integer, ChatReply> onReply) {
        for (int i = 0; i < calls.size(); i++) {
            ChatCall call = calls.get(i);
            asked.add(call);
            String text = function.apply(call);
            List<Double> logs =
                    call.labels().stream().map(l -> l.equals(text) ? -0.1 : -3.0).toList();
            onReply.accept(i, new ChatReply(text, 5, 2, "stop", logs));
        }
    }

    @Override
    public void close() {}
}

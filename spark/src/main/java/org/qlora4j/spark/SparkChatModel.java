package org.qlora4j.spark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import org.apache.spark.api.java.JavaSparkContext;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ask.ChatCall;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.ask.ChatReply;

/**
 * A model on the executors of a Spark cluster, for all that asks a {@link ChatModel}: {@link
 * org.qlora4j.judge.AnswerRun} for answers to questions, {@link org.qlora4j.judge.JudgeRun} for a
 * judge. Journals, restarts and files are theirs. Each call has a seed of its own, and a reply does
 * not depend on the calls it is computed with, so executors that compute alike give what one
 * machine gives.
 */
public final class SparkChatModel implements ChatModel {
    private final JavaSparkContext spark;
    private final SparkModel model;
    private final String identity;

    /** A model; the context stays its owner's. */
    public SparkChatModel(JavaSparkContext spark, SparkModel model) {
        this.spark = spark;
        this.model = model;
        this.identity = model.identity();
    }

    @Override
    public String name() {
        return model.name();
    }

    @Override
    public String identity() {
        return identity;
    }

    @Override
    public void answer(List<ChatCall> calls, BiConsumer<Integer, ChatReply> onReply) {
        SparkModel named = model;
        Parts.of(spark, calls, named.batch(), part -> replies(named, part), onReply);
    }

    private static List<ChatReply> replies(SparkModel named, List<ChatCall> calls) {
        return ExecutorModel.with(
                named,
                loaded -> {
                    @Nullable ChatReply[] out = new ChatReply[calls.size()];
                    loaded.asChatModel(named.name(), named.name(), named.batch())
                            .answer(calls, (at, reply) -> out[at] = reply);
                    return new ArrayList<>(Arrays.asList(out));
                });
    }

    @Override
    public void close() {}
}

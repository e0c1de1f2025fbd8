package org.qlora4j.spark;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.apache.spark.api.java.JavaSparkContext;
import org.jspecify.annotations.Nullable;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.task.TaskChat;
import org.qlora4j.task.TaskModel;
import org.qlora4j.task.TaskRequest;
import org.qlora4j.task.TaskResponse;
import org.qlora4j.tokenize.Tokenizer;

/**
 * A model on the executors of a Spark cluster, for {@link org.qlora4j.task.TaskRun}. The driver has
 * its tokenizer alone.
 */
public final class SparkTaskModel implements TaskModel, AutoCloseable {
    /** Requests of a part; those of few tokens are computed together, tokens by tokens. */
    private static final int REQUESTS = 64;

    private final JavaSparkContext spark;
    private final SparkModel model;
    private final int tokensAtOnce;
    private final Tokenizer tokenizer;

    /**
     * A model; the context stays its owner's.
     *
     * @param tokensAtOnce as in {@link org.qlora4j.LanguageModel#evaluate}
     */
    public SparkTaskModel(JavaSparkContext spark, SparkModel model, int tokensAtOnce) {
        this.spark = spark;
        this.model = model;
        this.tokensAtOnce = tokensAtOnce;
        this.tokenizer = Tokenizer.load(ModelPlace.of(Path.of(model.model())).folder());
    }

    @Override
    public void answer(List<TaskRequest> requests, BiConsumer<Integer, TaskResponse> done) {
        SparkModel named = model;
        int tokens = tokensAtOnce;
        Parts.of(spark, requests, REQUESTS, part -> responses(named, tokens, part), done);
    }

    private static List<TaskResponse> responses(
            SparkModel named, int tokens, List<TaskRequest> requests) {
        return ExecutorModel.with(
                named,
                loaded -> {
                    @Nullable TaskResponse[] out = new TaskResponse[requests.size()];
                    loaded.asTaskModel(tokens, named.batch())
                            .answer(requests, (at, response) -> out[at] = response);
                    return new ArrayList<>(Arrays.asList(out));
                });
    }

    @Override
    public String chat(List<Map<String, String>> messages, boolean open) {
        return new TaskChat(tokenizer).text(messages, open);
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}

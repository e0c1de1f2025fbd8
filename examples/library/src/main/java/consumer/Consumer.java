package consumer;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.qlora4j.Answer;
import org.qlora4j.LanguageModel;
import org.qlora4j.PendingAnswer;
import org.qlora4j.Prompt;
import org.qlora4j.Trainer;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Chat;
import org.qlora4j.data.Records;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.StopReason;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.TrainResult;

/** Finetunes, streams, cancels and changes adapters, and fails if one of them does not. */
public final class Consumer {
    private Consumer() {}

    public static void main(String[] args) throws InterruptedException {
        Path base = Path.of(args[0]);
        Path runs = Path.of(args[1]);
        Path first = finetune(base, runs.resolve("first"), "red");
        Path second = finetune(base, runs.resolve("second"), "blue");
        try (LanguageModel model = LanguageModel.load(base)) {
            String plain = answer(model);
            model.withAdapter(first);
            String one = answer(model);
            model.withAdapter(second);
            String other = answer(model);
            model.withoutAdapter();
            require(answer(model).equals(plain), "without an adapter the base answers");
            require(!one.equals(other), "two adapters give two answers");
            require(!one.equals(plain), "an adapter changes the answer");
            cancel(model);
        }
        System.out.printf(
                "%s: finetuned, streamed, changed adapters, cancelled%n",
                Consumer.class.getModule().isNamed() ? "module path" : "class path");
    }

    private static Path finetune(Path base, Path run, String colour) {
        List<Chat> chats =
                IntStream.range(0, 8)
                        .mapToObj(i ->
                                new Chat(
                                        List.of(
                                                Map.of("role", "user", "content", "colour"),
                                                Map.of("role", "assistant", "content", colour)),
                                        null))
                        .toList();
        RunConfig config =
                RunConfig.builder()
                        .model(model -> model.modelNameOrPath(base))
                        .data(rows -> rows.dataset(Records.NAME))
                        .train(train -> train.outputDir(run)
                                        .maxSteps(8)
                                        .perDeviceTrainBatchSize(2)
                                        .gradientAccumulationSteps(1)
                                        .learningRate(5e-3))
                        .build();
        TrainResult result =
                new Trainer(config, Records.ofChats(chats), false, RunListener.NONE).run();
        require(result.lastLoss() < result.firstLoss(), "the loss falls");
        return run;
    }

    /** What the model says, which must be what it streamed. */
    private static String answer(LanguageModel model) {
        StringBuilder streamed = new StringBuilder();
        Answer answer =
                model.generate(
                        List.of(Map.of("role", "user", "content", "colour")),
                        GenerationConfig.DEFAULT.greedy().withMaxNewTokens(12),
                        streamed::append);
        require(streamed.toString().equals(answer.text()), "the stream is the answer");
        return answer.text();
    }

    private static void cancel(LanguageModel model) throws InterruptedException {
        PendingAnswer pending =
                model.start(new Prompt.Raw("a"), GenerationConfig.DEFAULT.withMaxNewTokens(40), piece -> {});
        pending.cancel();
        Answer partial = pending.await();
        require(partial.stopReason() == StopReason.CANCELLED, "a cancelled answer says so: " + partial.stopReason());
    }

    private static void require(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}

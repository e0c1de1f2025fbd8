package org.qlora4j.examples;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.qlora4j.Answer;
import org.qlora4j.LanguageModel;
import org.qlora4j.PendingAnswer;
import org.qlora4j.Prompt;
import org.qlora4j.ServiceConfig;
import org.qlora4j.TextListener;
import org.qlora4j.TextRequest;
import org.qlora4j.TextService;
import org.qlora4j.Trainer;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Chat;
import org.qlora4j.data.Records;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Token;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.run.TrainResult;

/**
 * The seven programs of {@code docs/java.md}; a test runs them and compares them with that page.
 */
final class JavaGuide {
    private JavaGuide() {}

    static TrainResult finetune(String base, Path data, Path run) {
        RunConfig config =
                RunConfig.builder()
                        .model(model -> model.modelNameOrPath(base))
                        .lora(lora -> lora.r(16).loraAlpha(32))
                        .data(rows -> rows.dataset(data).evalDatasetSize(0.1))
                        .train(train -> train.outputDir(run).numTrainEpochs(3.0))
                        .eval(eval -> eval.doEval(true))
                        .build();
        RunListener listener =
                new RunListener() {
                    @Override
                    public void stepDone(StepMetrics step) {
                        System.out.printf("step %d: loss %.3f%n", step.step(), step.loss());
                    }
                };
        return new Trainer(config, false, listener).run();
    }

    static TrainResult fromMemory(String base, Map<String, String> answers, Path run) {
        List<Chat> chats =
                answers.entrySet().stream()
                        .map(each ->
                                new Chat(
                                        List.of(
                                                Map.of("role", "user", "content", each.getKey()),
                                                Map.of(
                                                        "role",
                                                        "assistant",
                                                        "content",
                                                        each.getValue())),
                                        null))
                        .toList();
        RunConfig config =
                RunConfig.builder()
                        .model(model -> model.modelNameOrPath(base))
                        .data(rows -> rows.dataset(Records.NAME))
                        .train(train -> train.outputDir(run).maxSteps(20))
                        .build();
        return new Trainer(config, Records.ofChats(chats), false, RunListener.NONE).run();
    }

    static Answer stream(LanguageModel model, String question) {
        List<Map<String, String>> chat =
                List.of(
                        Map.of("role", "system", "content", "Answer in one sentence."),
                        Map.of("role", "user", "content", question));
        GenerationConfig config =
                GenerationConfig.builder().temperature(0.7).topP(0.9).maxNewTokens(64).build();
        return model.generate(chat, config, System.out::print);
    }

    static Answer cancel(LanguageModel model, String text, long millis)
            throws InterruptedException {
        PendingAnswer pending =
                model.start(new Prompt.Raw(text), GenerationConfig.DEFAULT, piece -> {});
        Thread.sleep(millis);
        pending.cancel();
        return pending.await(); // what there was until then
    }

    static void compare(Path base, Path adapter, String question) {
        try (LanguageModel model = LanguageModel.load(base)) {
            System.out.println("before: " + model.chat(question));
            model.withAdapter(adapter);
            System.out.println("after:  " + model.chat(question));
            model.withoutAdapter();
            System.out.println("again:  " + model.chat(question));
        }
    }

    static List<Answer> manyAtOnce(LanguageModel model, List<String> questions) {
        List<Prompt> prompts =
                questions.stream()
                        .<Prompt>map(question ->
                                new Prompt.Chat(
                                        List.of(Map.of("role", "user", "content", question))))
                        .toList();
        GenerationConfig config = GenerationConfig.DEFAULT.greedy().withMaxNewTokens(32);
        return model.generateAll(prompts, config, 8, (index, answer) -> {});
    }

    static Answer serve(LanguageModel model, Path adapter, String question) {
        CompletableFuture<Answer> answer = new CompletableFuture<>();
        TextListener listener =
                new TextListener() {
                    @Override
                    public void token(Token token, String text) {
                        System.out.print(text);
                    }

                    @Override
                    public void ended(String rest, Answer whole) {
                        answer.complete(whole);
                    }

                    @Override
                    public void failed(RuntimeException failure) {
                        answer.completeExceptionally(failure);
                    }
                };
        try (TextService service = model.serve(ServiceConfig.DEFAULT)) {
            service.load("mine", adapter);
            Prompt prompt = new Prompt.Chat(List.of(Map.of("role", "user", "content", question)));
            service.submit(new TextRequest("mine", prompt, GenerationConfig.DEFAULT), listener);
            return answer.join();
        }
    }
}

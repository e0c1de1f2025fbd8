package org.qlora4j.examples;

import java.nio.file.Path;
import org.qlora4j.LanguageModel;
import org.qlora4j.Trainer;
import org.qlora4j.config.RunConfig;
import org.qlora4j.run.TrainResult;

/**
 * Finetunes a chat model on a file of chats, then asks it something: {@code MODEL DATA.jsonl
 * RUN_FOLDER}.
 */
final class FinetuneAndGenerate {
    private FinetuneAndGenerate() {}

    public static void main(String[] args) {
        RunConfig config =
                RunConfig.of(
                        "model.model_name_or_path=" + args[0],
                        "data.dataset=" + args[1],
                        "train.output_dir=" + args[2],
                        "train.max_steps=24");
        TrainResult result = new Trainer(config).run();
        System.out.printf("loss %.3f%n", result.lastLoss());
        try (var model = LanguageModel.load(Path.of(args[0])).withAdapter(Path.of(args[2]))) {
            System.out.println(model.chat("How do I make tea?"));
        }
    }
}

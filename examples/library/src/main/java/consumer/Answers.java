package consumer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.qlora4j.LanguageModel;
import org.qlora4j.Trainer;
import org.qlora4j.config.ReportKind;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Chat;
import org.qlora4j.data.Records;
import org.qlora4j.error.UserException;
import org.qlora4j.run.RunListener;

/** Answers with an adapter where the jars that only data and charts need are left out, and asks for each of these once. */
public final class Answers {
    private Answers() {}

    public static void main(String[] args) throws IOException {
        Path base = Path.of(args[0]);
        Path adapter = Path.of(args[1]);
        try (LanguageModel model = LanguageModel.load(base)) {
            String plain = model.chat("colour");
            String finetuned = model.withAdapter(adapter).chat("colour");
            require(!plain.equals(finetuned), "an adapter changes the answer");
        }
        Path folder = Files.createTempDirectory("answers");
        trainWithoutCharts(base, folder.resolve("charts"));
        for (var need :
                Map.of("a.csv", "de.siegmar:fastcsv", "a.parquet", "dev.hardwood:hardwood-core", "a.jsonl.zst", "com.github.luben:zstd-jni")
                        .entrySet()) {
            Path data = Files.write(folder.resolve(need.getKey()), new byte[8]);
            RunConfig config =
                    RunConfig.builder()
                            .model(model -> model.modelNameOrPath(base))
                            .data(rows -> rows.dataset(data))
                            .train(train -> train.outputDir(folder.resolve("run")).maxSteps(1))
                            .build();
            try {
                new Trainer(config).run();
                throw new AssertionError(data + " was read");
            } catch (UserException e) {
                require(e.getMessage().contains(data + " needs the jar " + need.getValue()), e.getMessage());
            }
        }
        System.out.println("answers only: answered, with an adapter; what data needs was asked for");
    }

    /** A chart that cannot be drawn is a warning, and no end of a run. */
    private static void trainWithoutCharts(Path base, Path run) {
        RunConfig config =
                RunConfig.builder()
                        .model(model -> model.modelNameOrPath(base))
                        .data(rows -> rows.dataset(Records.NAME))
                        .train(train -> train.outputDir(run).maxSteps(3).loggingSteps(1).reportTo(List.of(ReportKind.PNG)))
                        .build();
        Chat chat = new Chat(List.of(Map.of("role", "user", "content", "a"), Map.of("role", "assistant", "content", "b")), null);
        new Trainer(config, Records.ofChats(List.of(chat)), false, RunListener.NONE).run();
        require(!Files.exists(run.resolve("loss.png")), "no chart");
    }

    private static void require(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}

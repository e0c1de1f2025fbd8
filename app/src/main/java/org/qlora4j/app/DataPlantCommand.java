package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.task.Canaries;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code qlora data plant --out DIR}: secrets that show what a model keeps by heart. */
@Command(
        name = "plant",
        description =
                "Write chats with secrets to train on beside other data, and tasks that ask how well a model knows them"
                        + " afterwards (qlora eval tasks DIR/canaries.yaml --apply-chat-template).")
final class DataPlantCommand implements Callable<Integer> {
    @Option(names = "--out", required = true, paramLabel = "DIR", description = "A new folder.")
    Path out = Path.of("");

    @Option(
            names = "--count",
            paramLabel = "N",
            description = "Secrets for each number of times (${DEFAULT-VALUE}).")
    int count = 8;

    @Option(
            names = "--times",
            split = ",",
            paramLabel = "N,...",
            defaultValue = "0,1,4,16",
            description =
                    "How often secrets stand in the data; 0 to compare with (${DEFAULT-VALUE}).")
    List<Integer> times = new ArrayList<>();

    @Option(
            names = "--others",
            paramLabel = "N",
            description = "Codes that each secret is compared with (${DEFAULT-VALUE}).")
    int others = 255;

    @Option(names = "--seed", paramLabel = "N", description = "Of all of it (${DEFAULT-VALUE}).")
    long seed = 1;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        Canaries.plant(out, count, times, others, seed);
        PrintWriter printer =
                Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        printer.printf("%s/train.jsonl: train on it with the rest of the data%n", out);
        printer.printf(
                "then: qlora eval compare %s/canaries.yaml --apply-chat-template --model DIR --adapter DIR%n",
                out);
        return ExitCode.OK;
    }
}

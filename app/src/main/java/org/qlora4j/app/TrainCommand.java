package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Trainer;
import org.qlora4j.config.Overrides;
import org.qlora4j.config.RunConfig;
import org.qlora4j.plan.DryRun;
import org.qlora4j.run.TrainResult;
import org.qlora4j.world.Membership;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** {@code qlora train CONFIG.yaml [key=value ...]}: settings in, a run, what it changed. */
@Command(
        name = "train",
        description =
                "Finetune a model in 4 bits. Ctrl-C saves a checkpoint; --resume goes on from the newest.",
        footer = {
            "",
            "Settings come from the file, then from key=value words such as train.max_steps=20, then from flags. The flags of"
                    + " qlora.py are understood under their own names, such as --lora_r 16. All keys, with defaults:"
                    + " docs/config.md, or qlora train --keys."
        })
final class TrainCommand implements Callable<Integer> {
    private static final int SAVE_SECONDS = 60;

    @Option(names = "--model", paramLabel = "DIR|FILE.gguf", description = "The base model.")
    @Nullable String model;

    @Option(
            names = "--data",
            paramLabel = "FILE",
            description =
                    "A table, chats or texts (.jsonl, .csv, .xlsx, .parquet, .txt, ...), a folder of them, or org/name of the hub.")
    @Nullable String data;

    @Option(names = "--out", paramLabel = "DIR", description = "The run folder to make.")
    @Nullable String out;

    @Option(names = "--steps", paramLabel = "N", description = "Steps to train.")
    @Nullable String steps;

    @Mixin DeviceOption device = new DeviceOption();

    @Option(names = "--resume", description = "Go on with the run in the run folder.")
    boolean resume;

    @Option(
            names = "--dry-run",
            description = "Print settings, trainable weights and the first example; train nothing.")
    boolean dryRun;

    /** What is printed instead of the report for people. */
    static final class Output {
        @Option(
                names = "--quiet",
                description = "Print the folder of the trained adapter, and nothing else.")
        boolean quiet;

        @Option(names = "--json", description = "Print a line of JSON for each event.")
        boolean json;
    }

    @ArgGroup @Nullable Output output;

    @Option(names = "--keys", description = "Print all keys with their defaults, and end.")
    boolean keys;

    @Mixin RunSettings settings = new RunSettings();

    @ParentCommand @Nullable QloraCommand qlora;
    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() throws InterruptedException {
        var terminalOut = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        if (keys) {
            KeyTable.print(terminalOut);
            return ExitCode.OK;
        }
        RunConfig config = config();
        Membership own = Membership.of(System.getenv());
        if (dryRun) {
            if (own.rank() == 0) {
                terminalOut.println(DryRun.describe(config, Terminal.current().styled()));
            }
            return ExitCode.OK;
        }
        QloraCommand parent = Objects.requireNonNull(qlora, "picocli sets it");
        Path folder = config.train().outputPath();
        if (own.rank() > 0) {
            parent.preparation().mute(); // process 0 has the terminal
        }
        RunView report = own.rank() > 0 ? new SilentRunView() : view(terminalOut, config);
        parent.logging().beforeEachRecord(report::clear);
        Trainer run = new Trainer(config, resume, report);
        CountDownLatch ended = new CountDownLatch(1);
        Thread onInterrupt =
                new Thread(
                        () -> {
                            parent.preparation().mute(); // it would draw over what is said now
                            saveOnInterrupt(run, report, ended);
                        },
                        "qlora4j-interrupt");
        Runtime.getRuntime().addShutdownHook(onInterrupt);
        try {
            TrainResult result = run.run();
            report.conclude(result);
            return ExitCode.OK;
        } finally {
            if (Files.isDirectory(folder)) {
                parent.runFolder(folder);
            }
            ended.countDown();
            removeHook(onInterrupt);
        }
    }

    /** Runs while the JVM goes down after Ctrl-C: the run saves at its last finished step. */
    private static void saveOnInterrupt(Trainer run, RunView report, CountDownLatch ended) {
        if (!run.hasBegun()) { // nothing to wait for: what is being read is of no use to anybody
            report.interruptedEarly();
            return;
        }
        report.interrupted();
        run.cancel();
        try {
            if (!ended.await(SAVE_SECONDS, TimeUnit.SECONDS)) {
                report.gaveUp(SAVE_SECONDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void removeHook(Thread hook) {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException goingDown) {
            // the hook is running; it ends because the run has
        }
    }

    private RunView view(PrintWriter terminalOut, RunConfig config) {
        if (output == null) {
            return new TrainReport(terminalOut, config);
        }
        Objects.requireNonNull(qlora, "picocli sets it").preparation().mute();
        return output.json ? new JsonRunView(terminalOut) : new QuietRunView(terminalOut);
    }

    private RunConfig config() {
        List<Overrides.Setting> more = new ArrayList<>();
        add(more, "--model", "model.model_name_or_path", model, true);
        add(more, "--data", "data.dataset", data, true);
        add(more, "--out", "train.output_dir", out, true);
        add(more, "--steps", "train.max_steps", steps, false);
        if (device.device != null) {
            add(more, "--device", "model.device", device.choice().key(), true);
        }
        return settings.read(more, this::errorLine);
    }

    private void errorLine(String line) {
        Objects.requireNonNull(spec, "picocli sets it")
                .commandLine()
                .getErr()
                .println("qlora: " + line);
    }

    private static void add(
            List<Overrides.Setting> settings,
            String option,
            String key,
            @Nullable String value,
            boolean literal) {
        if (value != null) {
            settings.add(new Overrides.Setting(key, value, literal, option + " " + value));
        }
    }
}

package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.config.QloraFlags;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.error.ConfigException;
import org.qlora4j.report.DataInspector;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code qlora data inspect CONFIG|FILE}: what a run would learn from its data, seen before it. */
@Command(
        name = "inspect",
        description =
                "Show what a run would learn from its data: facts here, examples token by token on an HTML page. Nothing is"
                        + " trained; of the model only the tokenizer is read.")
final class DataInspectCommand implements Callable<Integer> {
    @Parameters(
            index = "0",
            paramLabel = "CONFIG.yaml|FILE",
            description = "Settings as for qlora train, or the data itself (then with --model).")
    String what = "";

    @Parameters(index = "1..*", paramLabel = "key=value", description = "More settings.")
    List<String> words = new ArrayList<>();

    @Option(
            names = "--model",
            paramLabel = "DIR|FILE.gguf",
            description = "The model whose tokenizer and chat template are used.")
    @Nullable String model;

    @Option(
            names = "--html",
            paramLabel = "FILE",
            description = "The page to write (the data's name with .inspect.html, in this folder).")
    @Nullable Path html;

    @Option(names = "--overwrite", description = "Replace the page if it is there.")
    boolean overwrite;

    @Option(
            names = "--examples",
            paramLabel = "N",
            defaultValue = "1000",
            description =
                    "Examples to leaf through on the page at most (${DEFAULT-VALUE}; fewer where they are long).")
    int examples;

    @Option(
            names = "--from",
            paramLabel = "N",
            defaultValue = "1",
            description = "The first of them (${DEFAULT-VALUE}).")
    int from;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        boolean isConfig = what.endsWith(".yaml") || what.endsWith(".yml");
        List<String> settings = new ArrayList<>(words);
        if (!isConfig) {
            settings.add("data.dataset=" + what);
        }
        if (model != null) {
            settings.add("model.model_name_or_path=" + model);
        }
        if (examples < 0) {
            throw ConfigException.of("--examples must be at least 0, got %d", examples);
        }
        if (from < 1) {
            throw ConfigException.of("--from must be at least 1, got %d", from);
        }
        RunConfig config = config(isConfig, settings);
        Path page = html == null ? Path.of(nameOf(what) + ".inspect.html") : html;
        if (Files.exists(page) && !overwrite) {
            throw ConfigException.of(
                    "%s exists; give --overwrite to replace it, or --html to name another", page);
        }
        DataInspector.Result result = DataInspector.inspect(config, from, examples);
        AtomicFiles.writeText(page, result.html());
        PrintWriter out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        result.lines().forEach(out::println);
        out.println("page        " + page);
        return ExitCode.OK;
    }

    private RunConfig config(boolean isConfig, List<String> settings) {
        if (!isConfig) {
            return RunConfigReader.of(QloraFlags.parse(settings));
        }
        return RunSettings.readFile(Path.of(what), QloraFlags.parse(settings));
    }

    /** The last part of a path without its ending, or of a name of the hub. */
    private static String nameOf(String what) {
        String last = what.replaceAll("[/\\\\]+$", "").replaceAll(".*[/\\\\]", "");
        String plain =
                last.replaceAll("[^A-Za-z0-9._-]", "_")
                        .replaceFirst("\\.[a-z]+(\\.(gz|zst))?$", "");
        return plain.isEmpty() ? "data" : plain;
    }
}

package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.SampleConfig;
import org.qlora4j.generate.SampleProgress;
import org.qlora4j.quant.QuantConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code qlora data sample}: a model writes conversations to train another on. */
@Command(
        name = "sample",
        description =
                "Let a chat model write conversations alone, its user's messages too (Magpie, arXiv 2406.08464).")
final class DataSampleCommand implements Callable<Integer> {
    private static final SampleConfig DEFAULT = SampleConfig.DEFAULT;

    @Mixin WriterOptions writer = new WriterOptions();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "FILE.jsonl",
            description = "Takes a line {\"messages\": [...]} for each conversation.")
    Path out = Path.of("");

    @Option(names = "--overwrite", description = "Replace the file if it exists.")
    boolean overwrite;

    @Option(names = "--conversations", description = "How many to write (${DEFAULT-VALUE}).")
    int conversations = DEFAULT.conversations();

    @Option(names = "--turns", description = "User messages in each (${DEFAULT-VALUE}).")
    int turns = DEFAULT.turns();

    @Option(
            names = "--max-new-tokens",
            description =
                    "Most tokens of a message; what does not end by then is dropped (${DEFAULT-VALUE}).")
    int maxNewTokens = DEFAULT.generation().maxNewTokens();

    @Option(names = "--batch", description = "Texts written at once (${DEFAULT-VALUE}).")
    int batch = DEFAULT.batch();

    @Option(names = "--temperature", description = "Logits are divided by it (${DEFAULT-VALUE}).")
    double temperature = DEFAULT.generation().temperature();

    @Option(
            names = "--top-p",
            description =
                    "Draw from the smallest set that has this probability (${DEFAULT-VALUE}).")
    double topP = DEFAULT.generation().topP();

    @Option(
            names = "--seed",
            description = "Another number gives other conversations (${DEFAULT-VALUE}).")
    long seed = DEFAULT.generation().seed();

    @Option(
            names = "--system",
            paramLabel = "TEXT",
            description = "A system message that begins each, and is written to the file.")
    @Nullable String system;

    @Option(
            names = "--no-system",
            description =
                    "Write user messages without the chat template's own system message before them.")
    boolean noSystem;

    @Option(
            names = "--quantize",
            description = "Hold the weights in 4 bits: less memory, fewer tokens a second.")
    boolean quantize;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        var commandLine = Objects.requireNonNull(spec, "picocli sets it").commandLine();
        PrintWriter result = commandLine.getOut();
        SampleConfig config =
                new SampleConfig(
                        conversations,
                        turns,
                        batch,
                        system,
                        noSystem,
                        GenerationConfig.DEFAULT
                                .withMaxNewTokens(maxNewTokens)
                                .sampling(temperature, topP, seed));
        OutputFile.require(out, overwrite);
        SampleProgress[] last = new SampleProgress[1];
        List<List<Map<String, String>>> written;
        try (LanguageModel loaded = writer.load(QuantConfig.DEFAULT.withLoad4bit(quantize));
                StatusLine status = new StatusLine(commandLine.getErr(), Terminal::current)) {
            written =
                    loaded.sampleConversations(
                            config,
                            progress -> {
                                last[0] = progress;
                                status.update(line(progress));
                            });
        }
        SampleProgress end = last[0];
        if (written.isEmpty()) {
            throw ConfigException.of(
                    "%s wrote no whole conversation in %d attempts (%s); raise --max-new-tokens,"
                            + " lower --temperature, or use a model that was trained to chat",
                    writer.model.path,
                    end == null ? 0 : end.begun(),
                    end == null ? "" : dropped(end));
        }
        OutputFile.write(
                out, written.stream().map(messages -> Map.of("messages", messages)).toList());
        result.println(out + ": " + (end == null ? "" : line(end)));
        return ExitCode.OK;
    }

    private static String line(SampleProgress p) {
        return String.format(
                Locale.ROOT,
                "%d/%d conversations, %d dropped (%s), %d tokens in %.0f s (%.0f/s)",
                p.kept(),
                p.wanted(),
                p.empty() + p.truncated() + p.duplicate(),
                dropped(p),
                p.tokens(),
                p.seconds(),
                p.tokensPerSecond());
    }

    private static String dropped(SampleProgress p) {
        return "%d empty, %d too long, %d double"
                .formatted(p.empty(), p.truncated(), p.duplicate());
    }
}

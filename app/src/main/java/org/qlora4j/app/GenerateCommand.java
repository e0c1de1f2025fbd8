package org.qlora4j.app;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Answer;
import org.qlora4j.LanguageModel;
import org.qlora4j.Prompt;
import org.qlora4j.data.Row;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.BeamConfig;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.StopReason;
import org.qlora4j.run.AdapterFolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/**
 * {@code qlora generate --model DIR --prompt TEXT}: a prompt in, the answer out as it comes; with
 * {@code --prompts FILE} many at once, to a file.
 */
@Command(
        name = "generate",
        description =
                "Answer a prompt. Each token is the likeliest, unless an option that draws is given.")
final class GenerateCommand implements Callable<Integer> {
    @Mixin WriterOptions writer = new WriterOptions();

    @Option(
            names = "--prompt",
            paramLabel = "TEXT",
            description = "What to answer; - reads it from standard input.")
    @Nullable String prompt;

    @Option(
            names = "--prompts",
            paramLabel = "FILE.jsonl",
            description =
                    "Answer many: a line {\"prompt\": ...} or {\"messages\": [...]} for each.")
    @Nullable Path prompts;

    @Option(
            names = "--out",
            paramLabel = "FILE.jsonl",
            description =
                    "Takes the lines of --prompts with their answers, in their order. What was answered when a run is cut off is kept beside it, in FILE.jsonl.partial, and the same command goes on with it.")
    @Nullable Path output;

    @Option(names = "--overwrite", description = "Replace --out if it exists.")
    boolean overwrite;

    @Option(
            names = "--batch",
            paramLabel = "N",
            description = "Prompts of --prompts answered at once (${DEFAULT-VALUE}).")
    int batch = 32;

    @Option(
            names = "--system",
            paramLabel = "TEXT",
            description = "A system message before the prompt.")
    @Nullable String system;

    @Option(
            names = "--raw",
            description = "Continue the prompt as it stands, without the model's chat template.")
    boolean raw;

    @Mixin TemplateOptions template = new TemplateOptions();

    @Mixin SamplingOptions sampling = new SamplingOptions();

    @Mixin BeamOptions beams = new BeamOptions();

    @Option(
            names = "--exact-head",
            description =
                    "Keep the head as in the checkpoint; else it is read in 8 bits where that costs less than 0.001 nats.")
    boolean exactHead;

    @Mixin HeldOption held = new HeldOption();

    @ParentCommand @Nullable QloraCommand qlora;
    @Spec @Nullable CommandSpec spec;

    /** The reader of the answer, such as {@code head}, has gone. */
    private static final class OutputClosed extends RuntimeException {
        OutputClosed() {
            super("nobody reads the answer any more", null, false, false);
        }
    }

    @Override
    public Integer call() {
        PrintWriter out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        GenerationConfig config = config();
        PromptFile file = file();
        if (file != null) {
            answerAll(file, config, out);
            return ExitCode.OK;
        }
        String text = "-".equals(prompt) ? read(System.in) : String.valueOf(prompt);
        try (LanguageModel loaded = load()) {
            chooseHead(loaded);
            Answer answer = answer(loaded, text, config, beams(loaded, config), out);
            out.println();
            if (Objects.requireNonNull(qlora, "picocli sets it").verbose) {
                spec.commandLine().getErr().println(times(answer));
            }
        } catch (OutputClosed gone) {
            // as for any program at the head of a pipe, no failure
        }
        return ExitCode.OK;
    }

    /** The model, with what the options say of its chats. */
    private LanguageModel load() {
        template.variables(); // its errors come before the weights
        return template.on(writer.load(held.config()));
    }

    /** What --prompts asks for, or null where one prompt is given. */
    private @Nullable PromptFile file() {
        if ((prompt == null) == (prompts == null)) {
            throw new ConfigException("give one prompt with --prompt, or many with --prompts");
        }
        if (prompts == null) {
            return null;
        }
        if (output == null) {
            throw new ConfigException("--prompts needs --out, the file that takes the answers");
        }
        if (batch < 1) {
            throw ConfigException.of("--batch must be at least 1, got %d", batch);
        }
        OutputFile.require(output, overwrite);
        return new PromptFile(prompts, output, batch);
    }

    private void answerAll(PromptFile file, GenerationConfig config, PrintWriter out) {
        List<Row> rows = file.read();
        PrintWriter err = Objects.requireNonNull(spec, "picocli sets it").commandLine().getErr();
        try (PartialAnswers kept = PartialAnswers.open(file.out())) {
            file.take(kept, overwrite, dependsOn(config), rows, err);
            try (LanguageModel loaded = load()) {
                chooseHead(loaded);
                BeamConfig search = beams(loaded, config);
                out.println(file.answer(loaded, rows, system, raw, config, search, kept, err));
            }
        }
    }

    /** What answers depend on beside their prompts. */
    private String dependsOn(GenerationConfig config) {
        List<Object> all = new ArrayList<>();
        all.add(config);
        all.add(beams.toString());
        all.add(sampling.greedy);
        all.add(system == null ? "" : system);
        all.add(raw);
        all.add(writer.model.path.toAbsolutePath().normalize());
        all.addAll(held.settings());
        all.add(exactHead);
        all.add(template.variables());
        all.add(template.sanitizeControlTokens);
        if (writer.adapter != null) {
            Path files = AdapterFolder.of(writer.adapter).files().toAbsolutePath().normalize();
            all.add(files);
            all.add(files.toFile().lastModified());
        }
        return all.toString();
    }

    private void chooseHead(LanguageModel loaded) {
        if (exactHead) {
            loaded.withExactHead();
        }
    }

    /** Beams of the options or the checkpoint; says so where it is the checkpoint. */
    private BeamConfig beams(LanguageModel loaded, GenerationConfig config) {
        BeamConfig ofCheckpoint = loaded.checkpointBeams();
        BeamConfig search = beams.config(ofCheckpoint, config, sampling.greedy);
        if (beams.numBeams == null && ofCheckpoint.numBeams() > 1) {
            Objects.requireNonNull(spec, "picocli sets it")
                    .commandLine()
                    .getErr()
                    .printf(
                            Locale.ROOT,
                            search.numBeams() > 1
                                    ? "num_beams %d of generation_config.json: a search with beams; --greedy follows one text%n"
                                    : "num_beams %d of generation_config.json is left out: other options choose the tokens%n",
                            ofCheckpoint.numBeams());
        }
        return search;
    }

    private Answer answer(
            LanguageModel loaded,
            String text,
            GenerationConfig config,
            BeamConfig search,
            PrintWriter out) {
        Prompt asked = ask(loaded, text);
        if (search.numBeams() > 1) {
            Answer best = loaded.generateBeams(asked, config, search).getFirst();
            print(best.text(), out);
            return best;
        }
        return loaded.start(asked, config, piece -> print(piece, out)).await();
    }

    private Prompt ask(LanguageModel loaded, String text) {
        if (raw || (system == null && !loaded.hasChatTemplate())) {
            return new Prompt.Raw(text);
        }
        List<Map<String, Object>> messages = new ArrayList<>();
        if (system != null) {
            messages.add(Map.of("role", "system", "content", system));
        }
        messages.add(Map.of("role", "user", "content", text));
        return new Prompt.Chat(messages);
    }

    private static void print(String piece, PrintWriter out) {
        out.print(piece);
        if (out.checkError()) { // flushes too
            throw new OutputClosed();
        }
    }

    private GenerationConfig config() {
        if (raw && system != null) {
            throw new ConfigException(
                    "--system needs the chat template that --raw leaves out; use one of them");
        }
        GenerationConfig config = sampling.config();
        beams.check(config, sampling.greedy);
        return config;
    }

    /** Everything on standard input, without the line end that shells put behind it. */
    private static String read(InputStream in) {
        try {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).replaceFirst("\\R\\z", "");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String times(Answer answer) {
        String prefill =
                String.format(
                        Locale.ROOT,
                        "prompt: %d tokens in %.2f s (%.0f/s)",
                        answer.promptTokens(),
                        answer.prefillSeconds(),
                        answer.prefillTokensPerSecond());
        String decode =
                String.format(
                        Locale.ROOT,
                        "answer: %d tokens in %.2f s (%.1f/s)",
                        answer.newTokens(),
                        answer.decodeSeconds(),
                        answer.decodeTokensPerSecond());
        return prefill + ", " + decode + ", " + describe(answer.stopReason());
    }

    private static String describe(StopReason reason) {
        return switch (reason) {
            case END_OF_TEXT -> "ended by the model";
            case STOP_STRING -> "ended by --stop";
            case MAX_NEW_TOKENS -> "ended by --max-new-tokens";
            case CONTEXT_FULL -> "ended because the model's context is full";
            case CANCELLED -> "cancelled";
        };
    }
}

package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ask.CallJournal;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.error.ConfigException;
import org.qlora4j.judge.JudgeConfig;
import org.qlora4j.judge.JudgeMode;
import org.qlora4j.judge.JudgePrompts;
import org.qlora4j.judge.JudgeResult;
import org.qlora4j.judge.JudgeRun;
import org.qlora4j.judge.Question;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code qlora eval judge --questions FILE --answers FILE.. --model DIR --out DIR}. */
@Command(
        name = "judge",
        description =
                "Let a model judge answers to the same questions, each pair in both orders. The ratings are for qlora eval"
                        + " elo, relative, agree and report. The same command goes on where a killed one was.")
final class EvalJudgeCommand implements Callable<Integer> {
    private static final JudgeConfig DEFAULT = JudgeConfig.DEFAULT;

    @Option(
            names = "--questions",
            required = true,
            paramLabel = "FILE.jsonl",
            description = "The questions, as for qlora eval chat.")
    Path questions = Path.of("");

    @Option(
            names = "--answers",
            required = true,
            arity = "1..*",
            paramLabel = "FILE.jsonl|DIR",
            description =
                    "Answers of two systems or more, a file each, whose name is the system's; or folders of them.")
    List<Path> answers = new ArrayList<>();

    @Mixin ChatModelOptions model = new ChatModelOptions();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "DIR",
            description = "Folder for ratings and the transcript; made if it does not exist.")
    Path out = Path.of("");

    @Option(names = "--overwrite", description = "Replace ratings that are there and differ.")
    boolean overwrite;

    @Option(
            names = "--mode",
            paramLabel = "pairwise|scores",
            description =
                    "Which answer is better, or a score of 1 to 10 for each (${DEFAULT-VALUE}).")
    String mode = DEFAULT.mode().key();

    @Option(
            names = "--reference",
            paramLabel = "SYSTEM",
            description = "Judge the others beside this system only; --mode scores needs it.")
    @Nullable String reference;

    @Option(
            names = "--verdict",
            paramLabel = "text|labels",
            description =
                    "Read the judge's text, or take its likeliest label without any text (labels with a model of this machine, else text).")
    @Nullable String verdict;

    @Option(
            names = "--calibrate",
            description =
                    "Make labels 1 and 2 equally likely over all comparisons before the verdicts, for small judges that like a place.")
    boolean calibrate;

    @Option(
            names = "--prompts",
            paramLabel = "FILE.jsonl",
            description = "Prompts for the judge in the paper's layout (prompts of our own words).")
    @Nullable Path prompts;

    @Option(
            names = "--reviewers",
            paramLabel = "FILE.jsonl",
            description = "Which prompt serves which category, in the paper's layout.")
    @Nullable Path reviewers;

    @Option(
            names = "--attempts",
            paramLabel = "N",
            description = "Replies asked for until one can be read (${DEFAULT-VALUE}).")
    int attempts = DEFAULT.attempts();

    @Option(
            names = "--again",
            paramLabel = "SHARE",
            description =
                    "Share of comparisons judged twice, to see how far the judge agrees with itself (${DEFAULT-VALUE}).")
    double again = DEFAULT.again();

    @Option(
            names = "--temperature",
            paramLabel = "T",
            description = "Of the judge's replies (that of the reviewer: 0.2).")
    @Nullable Double temperature;

    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            description = "Most tokens of a reply (those of the reviewer: 1024).")
    @Nullable Integer maxNewTokens;

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "Of the judge's replies (${DEFAULT-VALUE}).")
    long seed = DEFAULT.seed();

    @Option(names = "--limit", paramLabel = "N", description = "Only the first N questions (all).")
    int limit = Integer.MAX_VALUE;

    @Option(names = "--estimate", description = "Print what it will cost, and ask nothing.")
    boolean estimateOnly;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        CommandLine line = Objects.requireNonNull(spec, "picocli sets it").commandLine();
        PrintWriter err = line.getErr();
        JudgeConfig config = config();
        if (config.mode() == JudgeMode.SCORES && reference == null) {
            throw new ConfigException(
                    "--mode scores needs --reference, the system that others stand beside");
        }
        List<Question> wanted = Question.read(questions, limit);
        JudgeRun run =
                new JudgeRun(
                        config,
                        JudgePrompts.read(config.mode(), prompts, reviewers),
                        wanted,
                        AnswerFiles.read(answers),
                        reference);
        try (CallJournal journal =
                        CallJournal.open(OutputFile.folder(out).resolve(JudgeRun.TRANSCRIPT));
                ChatModel judge = model.open()) {
            err.println(model.checked(run.estimate(judge, journal)));
            if (!estimateOnly) {
                JudgeResult result = judged(run, judge, journal, err);
                line.getOut().println(out + ": judged by " + judge.name());
                result.lines(config.labels()).forEach(line.getOut()::println);
            }
        }
        return ExitCode.OK;
    }

    private JudgeResult judged(
            JudgeRun run, ChatModel judge, CallJournal journal, PrintWriter err) {
        try (StatusLine status = new StatusLine(err, Terminal::current)) {
            return run.run(
                    judge,
                    journal,
                    out,
                    overwrite,
                    done -> status.update("%d of %d judgments".formatted(done, run.size())));
        } finally {
            if (!judge.troubles().isEmpty()) {
                err.println("tried again after " + judge.troubles());
            }
        }
    }

    private JudgeConfig config() {
        String how = verdict == null ? (model.address == null ? "labels" : "text") : verdict;
        if (!List.of("text", "labels").contains(how)) {
            throw ConfigException.of("--verdict must be text or labels, got %s", how);
        }
        if (how.equals("labels") && model.address != null) {
            throw new ConfigException(
                    "--verdict labels needs a model of this machine; at an --address use text");
        }
        return new JudgeConfig(
                JudgeMode.of(mode),
                how.equals("labels"),
                calibrate,
                attempts,
                again,
                temperature,
                maxNewTokens,
                seed);
    }
}

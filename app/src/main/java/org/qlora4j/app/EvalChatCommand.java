package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ask.CallJournal;
import org.qlora4j.ask.CallSettings;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.judge.AnswerRun;
import org.qlora4j.judge.Question;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code qlora eval chat QUESTIONS --model DIR --out FILE}: a model's answers to questions. */
@Command(
        name = "chat",
        description =
                "Let a model answer questions, for a judge: of this machine, or at any address of OpenAI's API. Replies"
                        + " are kept as they come; the same command goes on where a killed one was.")
final class EvalChatCommand implements Callable<Integer> {
    @Parameters(
            paramLabel = "QUESTIONS.jsonl",
            description =
                    "Questions of the Vicuna or OA benchmark, MT-Bench, or your own: a line {\"question_id\": 1, \"text\": ..} each.")
    Path questions = Path.of("");

    @Mixin ChatModelOptions model = new ChatModelOptions();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "FILE.jsonl",
            description = "Takes the answers; the transcript grows beside it, in FILE.calls.jsonl.")
    Path out = Path.of("");

    @Option(names = "--overwrite", description = "Replace --out if it exists.")
    boolean overwrite;

    @Option(names = "--limit", paramLabel = "N", description = "Only the first N questions (all).")
    int limit = Integer.MAX_VALUE;

    @Option(
            names = "--guanaco",
            description =
                    "Give the paper's raw prompts (### Human: ... ### Assistant:) instead of chats, and end answers at ###.")
    boolean guanaco;

    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            description = "Most tokens of an answer (${DEFAULT-VALUE}).")
    int maxNewTokens = CallSettings.DEFAULT.maxTokens();

    @Option(
            names = "--temperature",
            paramLabel = "T",
            description = "Answers are drawn; 0 for the likeliest tokens (${DEFAULT-VALUE}).")
    double temperature = CallSettings.DEFAULT.temperature();

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description = "From the smallest set of probability P (${DEFAULT-VALUE}).")
    double topP = CallSettings.DEFAULT.topP();

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "Of the first question; one higher for each other (${DEFAULT-VALUE}).")
    long seed = CallSettings.DEFAULT.seed();

    @Option(names = "--estimate", description = "Print what it will cost, and ask nothing.")
    boolean estimateOnly;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        CommandLine line = Objects.requireNonNull(spec, "picocli sets it").commandLine();
        PrintWriter err = line.getErr();
        List<Question> wanted = Question.read(questions, limit);
        AnswerRun run =
                new AnswerRun(
                        wanted,
                        new CallSettings(
                                temperature, topP, maxNewTokens, seed, AnswerRun.stop(guanaco)),
                        guanaco);
        OutputFile.require(out, overwrite);
        try (CallJournal journal = CallJournal.open(transcript(out));
                ChatModel asked = model.open()) {
            err.println(model.checked(run.estimate(asked, journal)));
            if (estimateOnly) {
                return ExitCode.OK;
            }
            try (StatusLine status = new StatusLine(err, Terminal::current)) {
                run.run(
                        asked,
                        journal,
                        out,
                        done -> status.update("%d of %d answers".formatted(done, run.calls())));
            } finally {
                if (!asked.troubles().isEmpty()) {
                    err.println("tried again after " + asked.troubles());
                }
            }
            line.getOut().printf("%s: %d answers of %s%n", out, run.calls(), asked.name());
        }
        return ExitCode.OK;
    }

    /** Where calls and replies stand. */
    static Path transcript(Path out) {
        String name = String.valueOf(out.getFileName()).replaceFirst("\\.jsonl$", "");
        return out.resolveSibling(name + AnswerFiles.CALLS);
    }
}

package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import org.qlora4j.app.rate.RateServer;
import org.qlora4j.app.rate.RaterTokens;
import org.qlora4j.judge.HumanRatings;
import org.qlora4j.judge.Question;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code qlora eval rate --questions FILE --answers FILE.. --out DIR}: people as judges. */
@Command(
        name = "rate",
        description =
                "Let people compare answers on a page, without knowing whose they are. The ratings are for qlora eval elo,"
                        + " agree and report. It goes on where it was ended.")
final class EvalRateCommand implements Callable<Integer> {
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
            description = "Answers of two systems or more, as for qlora eval judge.")
    List<Path> answers = new ArrayList<>();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "DIR",
            description = "Folder for ratings, a folder in it for each rater.")
    Path out = Path.of("");

    @Option(
            names = "--rater",
            paramLabel = "NAME",
            description = "Who rates, each with a link of their own; may be given again (rater).")
    List<String> raters = new ArrayList<>();

    @Option(
            names = "--host",
            paramLabel = "H",
            description = "Address to listen on (${DEFAULT-VALUE}: this machine alone).")
    String host = "127.0.0.1";

    @Option(names = "--port", paramLabel = "N", description = "Port (${DEFAULT-VALUE}).")
    int port = 8090;

    @Option(names = "--limit", paramLabel = "N", description = "Only the first N questions (all).")
    int limit = Integer.MAX_VALUE;

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "Of the orders in which raters see them (${DEFAULT-VALUE}).")
    long seed = 42;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() throws InterruptedException {
        PrintWriter out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        List<Question> wanted = Question.read(questions, limit);
        List<String> names = raters.isEmpty() ? List.of("rater") : raters;
        Path folder = OutputFile.folder(this.out);
        RaterTokens tokens = RaterTokens.of(folder, names);
        try (HumanRatings ratings =
                        HumanRatings.open(folder, wanted, AnswerFiles.read(answers), names, seed);
                RateServer server = RateServer.start(ratings, tokens, host, port)) {
            String shown = host.contains(":") ? "[" + host + "]" : host;
            tokens.byRater()
                    .forEach((name, token) ->
                            out.printf(
                                    Locale.ROOT,
                                    "%s: http://%s:%d/#%s (%d of %d rated)%n",
                                    name,
                                    shown,
                                    server.port(),
                                    token,
                                    ratings.done(name),
                                    ratings.all(name)));
            out.println("each rating is kept as it is made; Ctrl-C ends the page");
            out.flush();
            new CountDownLatch(1).await();
        }
        return ExitCode.OK;
    }
}

package org.qlora4j.judge;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.ask.CallJournal;
import org.qlora4j.ask.HttpChatModel;
import org.qlora4j.ask.HttpConfig;
import org.qlora4j.ask.StubServer;
import org.qlora4j.ask.StubServer.Fault;
import org.qlora4j.eval.Ratings;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A judge over HTTP with timeouts, limits, malformed replies and broken connections, in a process
 * that is killed again and again: no judgment is lost, none is there twice, and none that was kept
 * is asked for again.
 */
class JudgeKillTest {
    private static final int QUESTIONS = 40;
    private static final int AT_ONCE = 4;
    private static final int KILLS = 2;

    @TempDir Path folder;

    /** The process that is killed. */
    static final class Judge {
        private Judge() {}

        public static void main(String[] args) {
            Path folder = Path.of(args[1]);
            HttpConfig http =
                    HttpConfig.of(args[0], "stub", null)
                            .asked(AT_ONCE, 0, Duration.ofMillis(1000), 30)
                            .waiting(Duration.ofMillis(5));
            try (CallJournal journal = CallJournal.open(folder.resolve(JudgeRun.TRANSCRIPT));
                    HttpChatModel model = new HttpChatModel(http)) {
                run().run(model, journal, folder, false, done -> {});
            }
        }

        private static JudgeRun run() {
            List<Question> questions = new ArrayList<>();
            Map<String, SystemAnswers.Given> a = new LinkedHashMap<>();
            Map<String, SystemAnswers.Given> b = new LinkedHashMap<>();
            for (int i = 1; i <= QUESTIONS; i++) {
                String text = "question " + i;
                questions.add(
                        new Question(
                                i, "question_id", text, "generic", List.of(), List.of(text), null));
                a.put(String.valueOf(i), new SystemAnswers.Given("a" + i, "good " + i));
                b.put(String.valueOf(i), new SystemAnswers.Given("b" + i, "bad " + i));
            }
            JudgeConfig config =
                    new JudgeConfig(JudgeMode.PAIRWISE, false, false, 4, 0, 0.0, 64, 1);
            return new JudgeRun(
                    config,
                    JudgePrompts.read(JudgeMode.PAIRWISE, null, null),
                    questions,
                    List.of(new SystemAnswers("good", a), new SystemAnswers("bad", b)),
                    null);
        }
    }

    /** The good answer wins; a first reply is malformed now and then. */
    private static String verdict(JsonNode body) {
        JsonNode messages = body.get("messages");
        String prompt = messages.get(1).get("content").asString();
        boolean firstTime = messages.size() == 2;
        if (firstTime && prompt.hashCode() % 5 == 0) {
            return "The good one, I should say.";
        }
        return "Clear.\n" + (prompt.indexOf("good") < prompt.indexOf("bad") ? "1" : "2");
    }

    private static Fault fault(int request) {
        return switch (request % 23) {
            case 3, 11 -> Fault.DISCONNECT;
            case 5 -> Fault.CUT_BODY;
            case 8 -> Fault.NO_JSON;
            case 17 -> Fault.SERVER_ERROR;
            default -> request == 30 ? Fault.SILENCE : request == 60 ? Fault.LIMIT : Fault.NONE;
        };
    }

    private Process start(String address) throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Judge.class.getName(),
                        address,
                        folder.toString())
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("log.txt").toFile())
                .start();
    }

    @Test
    void killedAgainAndAgain_losesNoJudgmentAndRepeatsNone() throws Exception {
        AtomicInteger served = new AtomicInteger();
        Random random = new Random(5);
        try (StubServer server =
                new StubServer(
                        body -> {
                            served.incrementAndGet();
                            return verdict(body);
                        },
                        JudgeKillTest::fault)) {
            List<Set<String>> kept = new ArrayList<>(); // at each kill
            List<Integer> asked = new ArrayList<>(); // requests until then
            for (int kill = 0; kill < KILLS; kill++) {
                int until = served.get() + 5 + random.nextInt(20);
                Process process = start(server.address());
                while (process.isAlive() && served.get() < until) {
                    Thread.sleep(2);
                }
                process.destroyForcibly().waitFor();
                kept.add(Set.copyOf(keys()));
                asked.add(server.keys().size());
            }
            Process last = start(server.address());
            assertThat(last.waitFor()).as(Files.readString(folder.resolve("log.txt"))).isZero();
            List<String> all = server.keys();
            for (int kill = 0; kill < KILLS; kill++) {
                assertThat(all.subList(asked.get(kill), all.size()))
                        .as("asked after kill %d", kill + 1)
                        .doesNotContainAnyElementsOf(kept.get(kill));
            }
        }
        Ratings ratings = Ratings.read(List.of(folder), null);
        assertThat(ratings.judgments()).hasSize(2 * QUESTIONS);
        assertThat(ratings.judgments().stream().map(j -> j.question() + j.first()))
                .doesNotHaveDuplicates();
        assertThat(ratings.judgments())
                .allSatisfy(j ->
                        assertThat(j.verdict().score())
                                .isEqualTo(j.first().equals("good") ? 1 : 0));
        assertThat(keys()).doesNotHaveDuplicates();
    }

    /** Of the transcript's whole lines. */
    private List<String> keys() throws IOException {
        String text = Files.readString(folder.resolve(JudgeRun.TRANSCRIPT));
        List<String> out = new ArrayList<>();
        for (String line : text.substring(0, text.lastIndexOf('\n') + 1).split("\n")) {
            out.add(new JsonMapper().readTree(line).get("key").asString());
        }
        return out;
    }
}

package org.qlora4j.app.rate;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.app.Main;
import org.qlora4j.error.FormatException;
import org.qlora4j.eval.Judgment;
import org.qlora4j.eval.Ratings;
import org.qlora4j.judge.HumanRatings;
import org.qlora4j.judge.Question;
import org.qlora4j.judge.SystemAnswers;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The page's server, asked as its script asks it. */
class RatePageTest {
    private static final int QUESTIONS = 10;

    @TempDir Path folder;
    private final HttpClient client = HttpClient.newHttpClient();
    private volatile Map<String, String> links = Map.of(); // by rater

    @BeforeEach
    void files() throws IOException {
        StringBuilder questions = new StringBuilder();
        StringBuilder good = new StringBuilder();
        StringBuilder bad = new StringBuilder();
        for (int i = 1; i <= QUESTIONS; i++) {
            questions.append("{\"question_id\": %d, \"text\": \"Question %d?\"}\n".formatted(i, i));
            good.append(answer(i, "a good answer"));
            bad.append(answer(i, "a bad answer"));
        }
        Files.writeString(folder.resolve("questions.jsonl"), questions);
        Files.createDirectory(folder.resolve("answers"));
        Files.writeString(folder.resolve("answers/system-g.jsonl"), good);
        Files.writeString(folder.resolve("answers/system-b.jsonl"), bad);
    }

    private static String answer(int question, String text) {
        return "{\"question_id\": %d, \"text\": \"%s\"}\n".formatted(question, text);
    }

    private Process start() throws IOException {
        Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-XX:TieredStopAtLevel=1",
                                "--add-modules=jdk.incubator.vector",
                                "-cp",
                                System.getProperty("java.class.path"),
                                Main.class.getName(),
                                "eval",
                                "rate",
                                "--questions",
                                folder.resolve("questions.jsonl").toString(),
                                "--answers",
                                folder.resolve("answers").toString(),
                                "--out",
                                folder.resolve("people").toString(),
                                "--rater",
                                "anna",
                                "--rater",
                                "ben",
                                "--port",
                                "0")
                        .redirectError(folder.resolve("log.txt").toFile())
                        .start();
        Map<String, String> told = new ConcurrentHashMap<>();
        BufferedReader out = process.inputReader();
        while (told.size() < 2) {
            String line = out.readLine();
            assertThat(line).as(Files.readString(folder.resolve("log.txt"))).isNotNull();
            String[] parts = line.split(": | \\(", 3);
            told.put(parts[0], parts[1]);
        }
        links = told;
        return process;
    }

    private JsonNode ask(String rater, String path, String body)
            throws IOException, InterruptedException {
        URI link = URI.create(links.getOrDefault(rater, ""));
        HttpRequest.Builder request =
                HttpRequest.newBuilder(link.resolve(path))
                        .header("Authorization", "Bearer " + link.getFragment());
        if (!body.isEmpty()) {
            request.header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString(body));
        }
        HttpResponse<String> response =
                client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        return new JsonMapper().readTree(response.body());
    }

    /** Rates until nothing is left, as a page in a browser does; the good answer wins. */
    private void rateAll(String rater, AtomicInteger confirmed) {
        while (true) {
            String link = links.getOrDefault(rater, "");
            try {
                JsonNode item = ask(rater, "/api/next", "").get("item");
                if (item.isNull()) {
                    return;
                }
                int verdict = item.get("one").asString().contains("good") ? 1 : 2;
                String body =
                        "{\"item\": \"%s\", \"verdict\": %d, \"comment\": \"\"}"
                                .formatted(item.get("id").asString(), verdict);
                ask(rater, "/api/rate", body);
                confirmed.incrementAndGet();
            } catch (IOException e) { // killed: the page is opened again
                while (link.equals(links.getOrDefault(rater, ""))) {
                    Thread.yield();
                }
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    /** Two raters, one of them in two tabs, and a process that is killed half way. */
    @Test
    void twoWritersAndAKill_loseNoRatingAndDoubleNone() throws Exception {
        AtomicInteger confirmed = new AtomicInteger();
        Process first = start();
        List<Thread> tabs = new ArrayList<>();
        for (String rater : List.of("anna", "ben", "anna")) {
            tabs.add(Thread.ofVirtual().start(() -> rateAll(rater, confirmed)));
        }
        while (confirmed.get() < QUESTIONS) {
            Thread.sleep(1);
        }
        first.destroyForcibly().waitFor();
        Process second = start();
        for (Thread tab : tabs) {
            tab.join();
        }
        second.destroyForcibly().waitFor();
        for (String rater : List.of("anna", "ben")) {
            List<Judgment> own =
                    Ratings.read(List.of(folder.resolve("people").resolve(rater)), null)
                            .judgments();
            assertThat(own.stream().map(Judgment::question)).hasSize(QUESTIONS);
            assertThat(own.stream().map(Judgment::question)).doesNotHaveDuplicates();
            assertThat(own)
                    .allSatisfy(j ->
                            assertThat(j.verdict().score())
                                    .isEqualTo(j.first().equals("system-g") ? 1 : 0));
        }
        StringWriter out = new StringWriter();
        int exit =
                Main.run(
                        new String[] {
                            "eval",
                            "agree",
                            folder.resolve("people/anna").toString(),
                            folder.resolve("people/ben").toString()
                        },
                        new PrintWriter(out, true),
                        new PrintWriter(new StringWriter()));
        assertThat(exit).isZero();
        assertThat(out.toString()).contains("10 comparisons judged by all: equal verdicts 1.000");
    }

    private HumanRatings people(long seed) {
        Path questions = folder.resolve("questions.jsonl");
        return HumanRatings.open(
                folder,
                Question.read(questions),
                Stream.of("system-g", "system-b")
                        .map(s -> SystemAnswers.read(folder.resolve("answers/" + s + ".jsonl"), s))
                        .toList(),
                List.of("anna", "ben"),
                seed);
    }

    @ParameterizedTest
    @ValueSource(strings = {"true", "\"x\"", "7", "[1]", "1e400"})
    void verdictThatIsNone_isNamedWithItsLine(String verdict) throws IOException {
        Path journal;
        try (HumanRatings ratings = people(1)) {
            String id = requireNonNull(ratings.next("anna")).id();
            ratings.rate("anna", id, 2, "");
        }
        try (Stream<Path> files = Files.list(folder)) {
            journal =
                    files.filter(f -> f.toString().endsWith(".jsonl"))
                            .filter(f -> !f.endsWith("questions.jsonl"))
                            .findFirst()
                            .orElseThrow();
        }
        String line = Files.readString(journal);
        Files.writeString(journal, line.replace("\"verdict\":2", "\"verdict\":" + verdict));
        assertThatThrownBy(() -> people(1))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith(journal + ":1: verdict must be 1, 2 or 3, got ");
    }

    /** Changed with the way back; a start with another seed keeps what was shown. */
    @Test
    void ratingThatIsChanged_standsOnce() throws IOException {
        String id;
        try (HumanRatings people = people(1)) {
            HumanRatings.Shown first = requireNonNull(people.next("anna"));
            id = first.id();
            people.rate("anna", id, 1, "hasty");
            HumanRatings.Shown second = requireNonNull(people.next("anna"));
            HumanRatings.Shown again = people.before("anna", second.id());
            assertThat(again)
                    .isEqualTo(
                            new HumanRatings.Shown(
                                    id, first.question(), first.one(), first.two(), 1, "hasty"));
            people.rate("anna", id, 2, "on second thoughts");
            assertThat(people.done("anna")).isEqualTo(1);
        }
        try (HumanRatings people = people(77)) {
            assertThat(people.done("anna")).isEqualTo(1);
            assertThat(people.done("ben")).isZero();
        }
        List<Path> files;
        try (Stream<Path> all = Files.list(folder.resolve("anna"))) {
            files = all.toList();
        }
        assertThat(files).hasSize(1);
        List<String> lines = Files.readAllLines(files.getFirst());
        assertThat(lines).hasSize(1);
        JsonNode rating = new JsonMapper().readTree(lines.getFirst());
        assertThat(rating.get("score").asInt()).isEqualTo(2);
        assertThat(rating.get("text").asString()).isEqualTo("on second thoughts\n\n2");
    }

    @Test
    void page_isShownToRatersAlone() throws Exception {
        try (HumanRatings people = people(1);
                RateServer server =
                        RateServer.start(
                                people,
                                RaterTokens.of(folder, List.of("anna", "ben")),
                                "127.0.0.1",
                                0)) {
            URI base = URI.create("http://127.0.0.1:%d/".formatted(server.port()));
            HttpResponse<String> page =
                    client.send(
                            HttpRequest.newBuilder(base).build(),
                            HttpResponse.BodyHandlers.ofString());
            assertThat(page.body()).contains("Which answer is better?");
            assertThat(page.headers().firstValue("Content-Security-Policy").orElse(""))
                    .startsWith("default-src 'self'");
            HttpResponse<String> refused =
                    client.send(
                            HttpRequest.newBuilder(base.resolve("/api/next"))
                                    .header("Authorization", "Bearer guess")
                                    .build(),
                            HttpResponse.BodyHandlers.ofString());
            assertThat(refused.statusCode()).isEqualTo(401);
            String token = RaterTokens.of(folder, List.of("anna")).byRater().get("anna");
            links = Map.of("anna", base + "#" + token);
            JsonNode state = ask("anna", "/api/next", "");
            assertThat(state.toString()).doesNotContain("system-");
            assertThat(state.get("all").asInt()).isEqualTo(QUESTIONS);
        }
    }

    /** Over both raters every order of showing comes up, and no two have the same order of work. */
    @Test
    void orders_areDrawnForEachRater() {
        try (HumanRatings people = people(3)) {
            List<String> shown = new ArrayList<>();
            for (String rater : List.of("anna", "ben")) {
                StringBuilder order = new StringBuilder();
                for (var next = people.next(rater); next != null; next = people.next(rater)) {
                    order.append(next.question()).append(next.one().contains("good") ? 1 : 2);
                    people.rate(rater, next.id(), 3, "");
                }
                shown.add(order.toString());
            }
            assertThat(shown.get(0)).isNotEqualTo(shown.get(1)).contains("?1").contains("?2");
        }
    }
}

package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.LanguageModel;
import org.qlora4j.ServiceConfig;
import org.qlora4j.TextService;
import org.qlora4j.app.serve.ApiConfig;
import org.qlora4j.app.serve.ApiKeys;
import org.qlora4j.app.serve.ApiServer;
import org.qlora4j.app.serve.TrainingConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs that are started over HTTP: one in a process of its own, the others acted. */
@Timeout(120)
class ServeTrainingTest {
    private static final Path TINY = TrainBed.resource("tiny-llama");
    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static final String ROWS = "input,output\nsay 1,xyxy\nsay 2,xyx\nsay 3,xy\n";
    private static final long GIB = 1L << 30;

    @TempDir Path runs;

    private final List<List<String>> commands = new ArrayList<>();
    private LanguageModel model;
    private TextService texts;
    private ApiServer server;
    private long free = GIB;
    private TrainingConfig.Processes processes =
            new TrainingConfig.Processes() {
                @Override
                public Process start(List<String> words) throws IOException {
                    List<String> options = new ArrayList<>(JvmSettings.options());
                    options.add("-XX:TieredStopAtLevel=1"); // it lives for a moment
                    return new ProcessBuilder(OwnJvm.command(options, words))
                            .redirectErrorStream(true)
                            .start();
                }

                @Override
                public void stop(Process process) {
                    OwnJvm.stop(List.of(process));
                }
            };

    @BeforeEach
    void start() {
        model = LanguageModel.load(TINY);
        texts = model.serve(new ServiceConfig(2, 16, 8));
        TrainingConfig training =
                new TrainingConfig(
                        runs,
                        TINY.toString(),
                        List.of("quantization.load_in_4bit=true"),
                        4000,
                        () -> free,
                        new TrainingConfig.Processes() {
                            @Override
                            public Process start(List<String> words) throws IOException {
                                commands.add(words);
                                return processes.start(words);
                            }

                            @Override
                            public void stop(Process process) {
                                processes.stop(process);
                            }
                        });
        server =
                ApiServer.start(
                        texts,
                        ApiConfig.DEFAULT.at("127.0.0.1", 0, "tiny").allowing(training),
                        ApiKeys.NONE);
    }

    @AfterEach
    void end() {
        server.close();
        texts.close();
        model.close();
    }

    /** A process that says some lines and ends when it is let. */
    private static final class Actor extends Process {
        private final InputStream said;
        private final int exit;
        private final CountDownLatch ended;

        Actor(String said, int exit, CountDownLatch ended) {
            this.said = new ByteArrayInputStream(said.getBytes(StandardCharsets.UTF_8));
            this.exit = exit;
            this.ended = ended;
        }

        @Override
        public OutputStream getOutputStream() {
            return new ByteArrayOutputStream();
        }

        @Override
        public InputStream getInputStream() {
            return said;
        }

        @Override
        public InputStream getErrorStream() {
            return InputStream.nullInputStream();
        }

        @Override
        public int waitFor() throws InterruptedException {
            ended.await();
            return exit;
        }

        @Override
        public int exitValue() {
            if (ended.getCount() > 0) {
                throw new IllegalThreadStateException();
            }
            return exit;
        }

        @Override
        public boolean isAlive() {
            return ended.getCount() > 0;
        }

        @Override
        public void destroy() {
            ended.countDown();
        }
    }

    private void act(String said, int exit, CountDownLatch ended) {
        processes =
                new TrainingConfig.Processes() {
                    @Override
                    public Process start(List<String> words) {
                        return new Actor(said, exit, ended);
                    }

                    @Override
                    public void stop(Process process) {
                        process.destroy();
                    }
                };
    }

    private HttpResponse<String> send(String method, String path, String type, String body)
            throws Exception {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(
                        URI.create("http://127.0.0.1:%d%s".formatted(server.port(), path)));
        request.method(method, BodyPublishers.ofString(body)).header("Content-Type", type);
        return CLIENT.send(request.build(), BodyHandlers.ofString());
    }

    private HttpResponse<String> post(String path, Map<String, ?> body) throws Exception {
        return send("POST", path, "application/json", JsonMapper.shared().writeValueAsString(body));
    }

    private HttpResponse<String> upload(String name, String content) throws Exception {
        String query = URLEncoder.encode(name, StandardCharsets.UTF_8);
        return send("POST", "/v1/datasets?name=" + query, "application/octet-stream", content);
    }

    private static JsonNode json(HttpResponse<String> response) {
        assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
        return JsonMapper.shared().readTree(response.body());
    }

    private static String refused(HttpResponse<String> response, int status) {
        assertThat(response.statusCode()).as(response.body()).isEqualTo(status);
        return JsonMapper.shared().readTree(response.body()).at("/error/message").asString();
    }

    private String dataset(String name, String content) throws Exception {
        return json(upload(name, content)).get("id").asString();
    }

    private JsonNode run(String name) throws Exception {
        return json(send("GET", "/v1/runs/" + name, "text/plain", ""));
    }

    private JsonNode awaitState(String name, String... states) throws Exception {
        while (true) {
            JsonNode run = run(name);
            if (List.of(states).contains(run.at("/progress/state").asString())) {
                return run;
            }
            Thread.sleep(20);
        }
    }

    private List<String> files(Path folder) throws IOException {
        try (Stream<Path> inside = Files.list(folder)) {
            return inside.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    @DisabledOnOs(value = OS.WINDOWS, disabledReason = "a process cannot be asked to end there")
    void run_isLookedAtStartedWatchedStoppedAndTalkedTo() throws Exception {
        String id = dataset("mine.csv", ROWS);
        Map<String, Object> settings =
                Map.of(
                        "train.max_steps",
                        100_000,
                        "lora.r",
                        4,
                        "train.gradient_accumulation_steps",
                        1);
        JsonNode plan = json(post("/v1/plans", Map.of("dataset", id, "settings", settings)));
        assertThat(plan.get("steps").asInt()).isEqualTo(100_000);
        assertThat(plan.at("/memory/fits").asBoolean()).isTrue();
        assertThat(plan.get("findings").size()).isZero();
        assertThat(
                        json(post(
                                        "/v1/runs",
                                        Map.of(
                                                "dataset",
                                                id,
                                                "name",
                                                "mine",
                                                "settings",
                                                settings)))
                                .at("/progress/state")
                                .asString())
                .isEqualTo("starting");
        assertThat(refused(post("/v1/runs", Map.of("dataset", id, "name", "two")), 409))
                .isEqualTo("the run mine goes on; wait for its end, or stop it");
        JsonNode run = awaitState("mine", "training", "failed");
        while (run.get("metrics").isEmpty()) {
            assertThat(run.at("/progress/state").asString()).as("%s", run).isEqualTo("training");
            Thread.sleep(20);
            run = run("mine");
        }
        assertThat(run.at("/progress/total_steps").asInt()).isEqualTo(100_000);
        assertThat(json(post("/v1/runs/mine/stop", Map.of())).at("/progress/state").asString())
                .isEqualTo("stopping");
        run = awaitState("mine", "stopped", "done", "failed");
        assertThat(run.at("/progress/state").asString()).as("%s", run).isEqualTo("stopped");
        assertThat(
                        json(post(
                                        "/v1/adapters",
                                        Map.of("name", "mine", "path", run.get("adapter"))))
                                .get("name")
                                .asString())
                .isEqualTo("mine");
        List<?> chat = List.of(Map.of("role", "user", "content", "say 1"));
        JsonNode answer =
                json(
                        post(
                                "/v1/chat/completions",
                                Map.of("model", "mine", "messages", chat, "max_tokens", 4)));
        assertThat(answer.get("model").asString()).isEqualTo("mine");
        assertThat(files(runs)).containsExactly(".uploads", "mine");
        assertThat(files(runs.resolve(".uploads"))).containsExactly(id);
        assertThat(refused(send("DELETE", "/v1/datasets/" + id, "text/plain", ""), 409))
                .isEqualTo("a run was started from this file");
    }

    @Test
    void plan_marksWhatIsLearnt() throws Exception {
        String id = dataset("mine.csv", ROWS);
        JsonNode plan = json(post("/v1/plans", Map.of("dataset", id)));
        assertThat(plan.at("/facts/records").asString()).isEqualTo("3");
        assertThat(plan.at("/facts/data").asString()).startsWith("mine.csv: format input-output");
        for (JsonNode example : plan.get("examples")) {
            StringBuilder given = new StringBuilder();
            StringBuilder learnt = new StringBuilder();
            example.get("text")
                    .forEach(part ->
                            (part.get("learnt").asBoolean() ? learnt : given)
                                    .append(part.get("text").asString()));
            int row = Integer.parseInt(example.get("at").asString().replace("mine.csv:", "")) - 1;
            assertThat(given.toString()).endsWith("say " + row);
            assertThat(learnt.toString()).isEqualTo("xyxy".substring(0, 5 - row) + "</s>");
        }
        assertThat(plan.at("/memory/total").asLong())
                .isEqualTo(
                        plan.at("/memory/parts").valueStream().mapToLong(JsonNode::asLong).sum());
        assertThat(plan.get("seconds").isNull()).isTrue(); // no run has been measured
        json(send("DELETE", "/v1/datasets/" + id, "text/plain", ""));
        assertThat(files(runs.resolve(".uploads"))).isEmpty();
    }

    @Test
    void tooLittleMemory_isToldAndRefused() throws Exception {
        free = 100_000;
        String id = dataset("mine.csv", ROWS);
        JsonNode memory = json(post("/v1/plans", Map.of("dataset", id))).get("memory");
        assertThat(memory.get("fits").asBoolean()).isFalse();
        assertThat(refused(post("/v1/runs", Map.of("dataset", id, "name", "a")), 400))
                .isEqualTo(memory.get("line").asString())
                .contains("this server leaves 1 MiB");
        assertThat(commands).isEmpty();
        TextService.Memory now = texts.memory();
        assertThat(MemoryBudget.beside(now)).isLessThan(MemoryBudget.of("cpu").free());
    }

    @Test
    void rowsWithFaults_areRefusedUnlessToldToSkipThem() throws Exception {
        act("", 0, new CountDownLatch(0));
        String id =
                dataset(
                        "mine.jsonl",
                        "{\"input\": \"a\", \"output\": \"b\"}\n{\"input\": 5}\n{\"input\": \"c\", \"output\": \"d\"}\n");
        JsonNode findings = json(post("/v1/plans", Map.of("dataset", id))).get("findings");
        assertThat(findings.get(0).get("refused").asBoolean()).isTrue();
        assertThat(findings.get(0).get("text").asString()).startsWith("mine.jsonl:2: ");
        assertThat(refused(post("/v1/runs", Map.of("dataset", id, "name", "a")), 400))
                .startsWith("mine.jsonl:2: ");
        Map<String, Object> skip = Map.of("data.on_bad_data", "skip");
        json(post("/v1/runs", Map.of("dataset", id, "name", "a", "settings", skip)));
        assertThat(commands.getFirst()).contains("data.on_bad_data=skip");
    }

    @Test
    void failedRun_saysWhyAndLeavesItsName() throws Exception {
        String id = dataset("mine.csv", ROWS);
        Path file = runs.resolve(".uploads").resolve(id);
        act("qlora: %s:7: it is bad%n".formatted(file), 2, new CountDownLatch(0));
        json(post("/v1/runs", Map.of("dataset", id, "name", "a")));
        assertThat(awaitState("a", "failed").at("/progress/problem").asString())
                .isEqualTo("mine.csv:7: it is bad");
        CountDownLatch ended = new CountDownLatch(1);
        act(
                """
                {"event":"started","total_steps":8}
                {"event":"step","step":2,"elapsed_seconds":3.0}
                {"event":"finished","adapter":"/there/checkpoint-8","cancelled":false}
                """,
                0,
                ended);
        json(post("/v1/runs", Map.of("dataset", id, "name", "a")));
        JsonNode run = awaitState("a", "training");
        while (run.path("adapter").isMissingNode()) {
            run = run("a");
        }
        assertThat(run.at("/progress/seconds_left").asDouble()).isEqualTo(9);
        ended.countDown();
        assertThat(awaitState("a", "done").get("adapter").asString())
                .isEqualTo("/there/checkpoint-8");
        Files.createDirectory(runs.resolve("a")); // what the run would have left
        assertThat(refused(post("/v1/runs", Map.of("dataset", id, "name", "a")), 409))
                .isEqualTo("there is a run a; give another name");
        for (int i = 0; i < 9; i++) { // the file of the run is not the oldest of eight
            dataset("more.csv", ROWS);
        }
        assertThat(files(runs.resolve(".uploads"))).hasSize(9).contains(id);
        JsonNode list = json(send("GET", "/v1/runs", "text/plain", ""));
        assertThat(list.get("allows_training").asBoolean()).isTrue();
        assertThat(list.at("/data/0/progress/state").asString()).isEqualTo("done");
    }

    @ParameterizedTest
    @CsvSource({
        "../../evil.csv, .._.._evil.csv, .csv",
        "/etc/evil.JSONL.gz, _etc_evil.JSONL.gz, .JSONL.gz",
        "a.b\\c.tsv, a.b_c.tsv, .tsv"
    })
    void nameOfAFile_steersNoPath(String name, String shown, String ending) throws Exception {
        JsonNode kept = json(upload(name, ROWS));
        assertThat(kept.get("name").asString()).isEqualTo(shown);
        assertThat(kept.get("id").asString()).matches("data-[0-9a-f]{24}\\Q" + ending + "\\E");
        assertThat(files(runs)).containsExactly(".uploads");
        assertThat(files(runs.resolve(".uploads"))).containsExactly(kept.get("id").asString());
    }

    @Test
    void whatIsNoDataIsRefused_andNothingIsLeft() throws Exception {
        assertThat(refused(upload("a.pdf", ROWS), 400))
                .startsWith("a.pdf is of a kind that is not read; give .jsonl");
        assertThat(refused(upload("a.csv", "x".repeat(4001)), 413)).contains("4000 bytes");
        assertThat(refused(upload("a.csv", ""), 400)).contains("file");
        assertThat(refused(send("POST", "/v1/datasets?name=a.csv", "text/plain", ROWS), 415))
                .isEqualTo("send Content-Type: application/octet-stream");
        assertThat(refused(upload("", ROWS), 400)).contains("?name=");
        String id = dataset("broken.jsonl", "{\"input\": \n");
        assertThat(refused(post("/v1/plans", Map.of("dataset", id)), 400))
                .contains("broken.jsonl")
                .doesNotContain(runs.toString());
        assertThat(refused(post("/v1/plans", Map.of("dataset", "../" + id)), 404))
                .isEqualTo("there is no such file; send it again");
        id = dataset("mine.csv", ROWS);
        for (String key : List.of("train.output_dir", "data.dataset", "lora.zork")) {
            Map<String, Object> settings = Map.of(key, "/tmp/x");
            assertThat(refused(post("/v1/plans", Map.of("dataset", id, "settings", settings)), 400))
                    .startsWith("settings must be some of data.columns, ");
        }
        Map<String, Object> negative = Map.of("train.max_steps", -5);
        assertThat(refused(post("/v1/plans", Map.of("dataset", id, "settings", negative)), 400))
                .contains("train.max_steps");
        for (String name : List.of("../x", ".x", "a/b", "-a", "")) {
            refused(post("/v1/runs", Map.of("dataset", id, "name", name)), 400);
        }
        refused(post("/v1/runs/none/stop", Map.of()), 404);
        assertThat(commands).isEmpty();
        server.close();
        assertThat(files(runs.resolve(".uploads"))).isEmpty();
    }

    /** The page of another site whose name was made to lead here. */
    @Test
    void anotherHost_isNotTrusted() throws Exception {
        try (Socket socket = new Socket("127.0.0.1", server.port())) {
            String request =
                    "POST /v1/plans HTTP/1.1\r\nHost: evil.example:8080\r\nConnection: close\r\n"
                            + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                    .startsWith("HTTP/1.1 403 ");
        }
    }
}

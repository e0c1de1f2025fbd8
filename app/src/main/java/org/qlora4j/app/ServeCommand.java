package org.qlora4j.app;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.ServiceConfig;
import org.qlora4j.TextService;
import org.qlora4j.app.serve.ApiConfig;
import org.qlora4j.app.serve.ApiKeys;
import org.qlora4j.app.serve.ApiServer;
import org.qlora4j.app.serve.TrainingConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.quant.QuantConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * {@code qlora serve --model DIR}: answers over HTTP in the form of OpenAI's API, until it is ended
 * by Ctrl-C or SIGTERM, which let answers under way come to their end.
 */
@Command(
        name = "serve",
        description =
                "Serve a model and adapters over HTTP, in the form of OpenAI's API (docs/serving.md).")
final class ServeCommand implements Callable<Integer> {
    private static final ServiceConfig SERVICE = ServiceConfig.DEFAULT;
    private static final ApiConfig API = ApiConfig.DEFAULT;

    /** Answers go before steps where the system can tell them apart. */
    private static final TrainingConfig.Processes RUNS =
            new TrainingConfig.Processes() {
                @Override
                public Process start(List<String> words) throws IOException {
                    List<String> line = OwnJvm.command(words);
                    Path nice = Path.of("/usr/bin/nice");
                    if (Files.isExecutable(nice)) {
                        line.addAll(0, List.of(nice.toString(), "-n", "5"));
                    }
                    return new ProcessBuilder(line).redirectErrorStream(true).start();
                }

                @Override
                public void stop(Process process) {
                    OwnJvm.stop(List.of(process));
                }
            };

    @Mixin ModelOption model = new ModelOption();

    @Option(
            names = "--adapter",
            paramLabel = "NAME=DIR",
            description =
                    "An adapter that answers requests for model NAME: PEFT's files, or a run folder; may be given again.")
    Map<String, Path> adapters = new LinkedHashMap<>();

    @Option(
            names = "--name",
            paramLabel = "NAME",
            description = "Under which the model itself is asked for (the last part of --model).")
    @Nullable String name;

    @Option(
            names = "--host",
            paramLabel = "H",
            description = "Address to listen on (${DEFAULT-VALUE}: this machine alone).")
    String host = API.host();

    @Option(names = "--port", paramLabel = "N", description = "Port (${DEFAULT-VALUE}).")
    int port = API.port();

    @Option(
            names = "--api-keys",
            paramLabel = "FILE",
            description = "Keys, one a line, of which a request must bear one.")
    @Nullable Path apiKeys;

    @Option(
            names = "--streams",
            paramLabel = "N",
            description = "Answers at once (${DEFAULT-VALUE}).")
    int streams = SERVICE.streams();

    @Option(
            names = "--queue",
            paramLabel = "N",
            description = "Requests that may wait; further ones get 429 (${DEFAULT-VALUE}).")
    int queue = SERVICE.queue();

    @Option(
            names = "--prompt-positions",
            paramLabel = "N",
            description =
                    "Tokens of prompts read between two tokens of the answers under way (${DEFAULT-VALUE}).")
    int promptPositions = SERVICE.promptPositions();

    @Option(
            names = "--kv-cache-memory",
            paramLabel = "BYTES",
            converter = ByteSize.Converter.class,
            description =
                    "Most memory of keys and values of all requests, such as 4GiB (half of what heap and model leave of this machine's).")
    long kvCacheMemory = SERVICE.kvCacheBytes();

    @Option(
            names = "--adapter-memory",
            paramLabel = "BYTES",
            converter = ByteSize.Converter.class,
            description =
                    "Most memory of adapters; the least recently used make way and are read again when asked for (a quarter of the same).")
    long adapterMemory = SERVICE.adapterBytes();

    @Option(
            names = "--runs",
            paramLabel = "DIR",
            description = "Show the runs of this folder on the page at /, as they go on.")
    @Nullable Path runs;

    @Option(
            names = "--allow-training",
            description =
                    "Let who may change adapters start runs: from the page, with files that it sends; all is written into --runs.")
    boolean allowTraining;

    @Option(
            names = "--max-upload",
            paramLabel = "BYTES",
            converter = ByteSize.Converter.class,
            description = "Most bytes of a file of examples that is sent (256MiB).")
    long maxUpload = TrainingConfig.UPLOAD_BYTES;

    @Option(
            names = "--max-body",
            paramLabel = "BYTES",
            description = "Most bytes of a request (${DEFAULT-VALUE}).")
    int maxBody = API.maxBodyBytes();

    @Option(
            names = "--timeout",
            paramLabel = "SECONDS",
            description = "Most time of a request (${DEFAULT-VALUE}).")
    long timeout = API.timeout().toSeconds();

    @Option(
            names = "--drain",
            paramLabel = "SECONDS",
            description = "Time that answers under way have when it is ended (${DEFAULT-VALUE}).")
    long drain = 30;

    @Option(
            names = "--exact-head",
            description =
                    "Keep the head as in the checkpoint; else it is read in 8 bits where that costs less than 0.001 nats.")
    boolean exactHead;

    @Mixin TemplateOptions template = new TemplateOptions();

    @Mixin HeldOption held = new HeldOption();

    @Mixin DeviceOption device = new DeviceOption();

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() throws InterruptedException {
        PrintWriter out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        ApiConfig api = api();
        ServiceConfig service =
                new ServiceConfig(streams, promptPositions, queue, kvCacheMemory, adapterMemory);
        ApiKeys keys = apiKeys == null ? ApiKeys.NONE : ApiKeys.read(apiKeys);
        requireTrusted(api, keys);
        template.variables(); // its errors come before the weights
        QuantConfig weights = held.config();
        try (LanguageModel loaded = LanguageModel.load(model.path, weights, device.choice())) {
            if (exactHead) {
                loaded.withExactHead();
            }
            try (TextService texts = template.on(loaded).serve(service)) {
                adapters.forEach(texts::load);
                serve(texts, allowTraining ? api.allowing(training(texts)) : api, keys, out);
            }
        }
        return ExitCode.OK;
    }

    private void requireTrusted(ApiConfig api, ApiKeys keys) {
        if (allowTraining && keys == ApiKeys.NONE && !api.isLoopback()) {
            throw ConfigException.of(
                    "--allow-training with --host %s needs --api-keys: else anybody could start runs",
                    host);
        }
    }

    /** Runs hold the model as it is served, in what memory this process leaves. */
    private TrainingConfig training(TextService texts) {
        List<String> words = new ArrayList<>(held.settings());
        if (device.device != null) {
            words.add("model.device=" + device.choice().key());
        }
        return new TrainingConfig(
                Objects.requireNonNull(runs, "checked"),
                model.path.toString(),
                words,
                maxUpload,
                () -> MemoryBudget.beside(texts.memory()),
                RUNS);
    }

    private ApiConfig api() {
        String ownName =
                name == null
                        ? String.valueOf(model.path.toAbsolutePath().normalize().getFileName())
                        : name;
        if (allowTraining && runs == null) {
            throw ConfigException.of(
                    "--allow-training needs --runs DIR, the folder that runs are written into");
        }
        if (runs != null && !Files.isDirectory(runs)) {
            throw ConfigException.of("--runs %s is no folder", runs);
        }
        if (adapters.containsKey(ownName)) {
            throw ConfigException.of(
                    "--adapter %s has the name of the model itself; give either another by --name",
                    ownName);
        }
        return new ApiConfig(host, port, ownName, maxBody, Duration.ofSeconds(timeout))
                .showing(runs);
    }

    private void serve(TextService texts, ApiConfig api, ApiKeys keys, PrintWriter out)
            throws InterruptedException {
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch ended = new CountDownLatch(1);
        Thread onSignal =
                new Thread(
                        () -> {
                            asked.countDown();
                            await(ended);
                        },
                        "qlora4j-drain");
        try (ApiServer server = ApiServer.start(texts, api, keys)) {
            Runtime.getRuntime().addShutdownHook(onSignal);
            String shown = host.contains(":") ? "[" + host + "]" : host;
            out.printf(
                    Locale.ROOT,
                    "serving %s%s at http://%s:%d/v1, and a page at /; Ctrl-C ends it%n",
                    api.modelName(),
                    adapters.isEmpty() ? "" : " and " + String.join(", ", adapters.keySet()),
                    shown,
                    server.port());
            if (keys == ApiKeys.NONE && !api.isLoopback()) {
                out.println(
                        "anybody who reaches this address can ask; --api-keys would prevent it");
            }
            out.flush();
            asked.await();
            boolean all = server.drain(Duration.ofSeconds(drain));
            out.println(all ? "all answers ended" : "answers under way were cut off");
            out.flush();
        } finally {
            ended.countDown();
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}

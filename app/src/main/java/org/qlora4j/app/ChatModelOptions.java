package org.qlora4j.app;

import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.ask.CostEstimate;
import org.qlora4j.ask.HttpChatModel;
import org.qlora4j.ask.HttpConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.task.TaskLog;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Which model is asked, one of this machine or one at an address: the same in every command that
 * asks a model many things.
 */
final class ChatModelOptions {
    private static final HttpConfig HTTP = HttpConfig.of("http://localhost", "", null);

    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR|FILE.gguf|NAME",
            description = "The model: files as for qlora generate; with --address its name there.")
    String model = "";

    @Option(
            names = "--adapter",
            paramLabel = "DIR",
            description = "A PEFT adapter to put on it, or a run folder of qlora train.")
    @Nullable Path adapter;

    @Option(
            names = "--address",
            paramLabel = "URL",
            description =
                    "Ask over HTTP: an address of OpenAI's API up to its version, such as http://127.0.0.1:8080/v1 of qlora serve.")
    @Nullable String address;

    @Option(
            names = "--api-key-env",
            paramLabel = "VARIABLE",
            description =
                    "Variable of the environment that holds the key for --address; without it none is sent.")
    @Nullable String keyVariable;

    @Option(
            names = "--concurrency",
            paramLabel = "N",
            description = "Requests to --address at once (${DEFAULT-VALUE}).")
    int concurrency = HTTP.concurrency();

    @Option(
            names = "--requests-per-minute",
            paramLabel = "N",
            description = "Most requests to --address a minute; 0 for no limit but its own (0).")
    int perMinute = HTTP.perMinute();

    @Option(
            names = "--timeout",
            paramLabel = "SECONDS",
            description = "Most time of a request to --address (${DEFAULT-VALUE}).")
    double timeout = HTTP.timeout().toSeconds();

    @Option(
            names = "--retries",
            paramLabel = "N",
            description =
                    "Tries after the first, for limits, timeouts and broken connections (${DEFAULT-VALUE}).")
    int retries = HTTP.retries();

    @Option(
            names = "--price-in",
            paramLabel = "X",
            description = "Price of a million tokens of prompts, for the estimate.")
    double priceIn;

    @Option(
            names = "--price-out",
            paramLabel = "X",
            description = "Price of a million tokens of replies.")
    double priceOut;

    @Option(
            names = "--max-cost",
            paramLabel = "X",
            description = "Ask nothing if it may cost more, by these prices.")
    double maxCost = Double.POSITIVE_INFINITY;

    @Option(
            names = "--batch",
            paramLabel = "N",
            description = "Replies of a model of this machine at once (${DEFAULT-VALUE}).")
    int batch = 32;

    @Mixin HeldOption held = new HeldOption();

    @Mixin DeviceOption device = new DeviceOption();

    /**
     * Opens the model. The caller closes it.
     *
     * @throws ConfigException if options exclude each other
     */
    ChatModel open() {
        if (batch < 1) {
            throw ConfigException.of("--batch must be at least 1, got %d", batch);
        }
        if (address != null) {
            return remote(address);
        }
        QuantConfig weights = held.config();
        Path path = Path.of(model);
        LanguageModel loaded = WriterOptions.load(path, weights, device.choice(), adapter);
        String identity = TaskLog.stamp(path, adapter, weights.toString());
        return new OwnedChatModel(
                loaded, loaded.asChatModel(name(), name() + " " + identity, batch));
    }

    /** What the model is called where its replies are kept. */
    String name() {
        if (address != null) {
            return model;
        }
        return TaskLog.name(Path.of(model), adapter);
    }

    private ChatModel remote(String url) {
        if (adapter != null) {
            throw new ConfigException(
                    "--adapter is for models of this machine; at an address its name is the --model");
        }
        HttpConfig config =
                HttpConfig.of(url, model, key())
                        .asked(
                                concurrency,
                                perMinute,
                                Duration.ofMillis(Math.round(timeout * 1000)),
                                retries);
        return new HttpChatModel(config);
    }

    private @Nullable String key() {
        if (keyVariable == null) {
            return null;
        }
        String key = System.getenv(keyVariable);
        if (key == null || key.isBlank()) {
            throw ConfigException.of("--api-key-env %s: there is no such variable", keyVariable);
        }
        return key.strip();
    }

    /** The line of an estimate; throws if it is above what may be spent. */
    String checked(CostEstimate estimate) {
        CostEstimate.Prices prices = new CostEstimate.Prices(priceIn, priceOut);
        if (Double.isFinite(maxCost) && priceIn == 0 && priceOut == 0) {
            throw new ConfigException("--max-cost needs --price-in or --price-out to count with");
        }
        estimate.requireAtMost(maxCost, prices);
        return estimate.line(prices);
    }
}

package org.qlora4j.app;

import static org.qlora4j.app.BenchCommand.round;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.ServiceConfig;
import org.qlora4j.TextService;
import org.qlora4j.app.serve.ServeLoad;
import org.qlora4j.app.serve.ServeLoad.Asked;
import org.qlora4j.family.Models;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.ResidentMemory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/**
 * {@code qlora bench serve}: many answers at once beside one, each by the base or an adapter of its
 * own, and whether each is what it is alone.
 */
@Command(
        name = "serve",
        description =
                "Time answers that are computed together, and compare each with itself alone.")
final class BenchServeCommand implements Callable<Integer> {
    @Mixin ModelOption model = new ModelOption();

    @Option(
            names = "--streams",
            paramLabel = "N",
            description = "Answers at once (${DEFAULT-VALUE}).")
    int streams = 16;

    @Option(
            names = "--prompt",
            paramLabel = "N",
            description = "Tokens of each prompt (${DEFAULT-VALUE}).")
    int prompt = 64;

    @Option(
            names = "--tokens",
            paramLabel = "N",
            description = "Tokens of each answer (${DEFAULT-VALUE}).")
    int tokens = 128;

    @Option(
            names = "--adapter",
            paramLabel = "DIR",
            description = "Adapters that answer by turns with the base; may be given again.")
    List<Path> adapters = new ArrayList<>();

    @Option(
            names = "--random-adapters",
            paramLabel = "N",
            description =
                    "So many further ones with random weights, of rank 16 on all linears (${DEFAULT-VALUE}).")
    int randomAdapters = 4;

    @Option(
            names = "--prompt-positions",
            paramLabel = "N",
            description = "Tokens of prompts read between two tokens (${DEFAULT-VALUE}).")
    int promptPositions = ServiceConfig.DEFAULT.promptPositions();

    @Option(names = "--json", description = "Print one JSON line.")
    boolean json;

    @Option(
            names = "--exact-head",
            description = "Keep the head as in the checkpoint; else in 8 bits where that is close.")
    boolean exactHead;

    @Mixin HeldOption held = new HeldOption();

    @Mixin DeviceOption device = new DeviceOption();

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        PrintWriter out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        ServiceConfig config = new ServiceConfig(streams, promptPositions, 4 * streams);
        QuantConfig weights = held.config();
        Map<String, Object> line;
        Path folder = Files.createTempDirectory("qlora-bench");
        try {
            List<Path> all = new ArrayList<>(adapters);
            for (int i = 0; i < randomAdapters; i++) {
                Path own = Files.createDirectory(folder.resolve("random-" + i));
                all.add(own);
            }
            if (randomAdapters > 0) {
                Engine.run(() -> writeRandom(weights, all.subList(adapters.size(), all.size())));
            }
            try (LanguageModel loaded = LanguageModel.load(model.path, weights, device.choice())) {
                if (exactHead) {
                    loaded.withExactHead();
                }
                try (TextService service = loaded.serve(config)) {
                    line = measure(service, all);
                }
            }
        } finally {
            delete(folder);
        }
        if (json) {
            out.println(new JsonMapper().writeValueAsString(line));
        } else {
            line.forEach((key, value) -> out.printf("%-28s %s%n", key, value));
        }
        boolean right = Objects.equals(line.get("answers_equal"), line.get("answers"));
        return right ? ExitCode.OK : ExitCode.DEFECT;
    }

    private Map<String, Object> measure(TextService service, List<Path> folders) {
        List<@Nullable String> names = new ArrayList<>();
        names.add(null);
        for (int i = 0; i < folders.size(); i++) {
            service.load("adapter-" + i, folders.get(i));
            names.add("adapter-" + i);
        }
        ServeLoad load = new ServeLoad(service, prompt, tokens);
        List<Asked> asked = new ArrayList<>();
        for (int i = 0; i < streams; i++) {
            asked.add(load.asked(names.get(i % names.size()), i));
        }
        ServeLoad.Result result = load.run(asked);
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("model", String.valueOf(model.path.getFileName()));
        line.put("threads", Engine.threads());
        line.put("streams", streams);
        line.put("adapters", folders.size());
        line.put("prompt", prompt);
        line.put("new_tokens", tokens);
        line.put("alone_tok_s", round(result.aloneTokensPerSecond(), 1));
        line.put("together_tok_s", round(result.togetherTokensPerSecond(), 1));
        line.put(
                "times_alone",
                round(result.togetherTokensPerSecond() / result.aloneTokensPerSecond(), 2));
        line.put("answers", streams);
        line.put("answers_equal", result.equal());
        line.put("first_token_alone_ms", round(result.firstAloneSeconds() * 1e3, 1));
        line.put("first_token_loaded_ms", round(result.firstLoadedSeconds() * 1e3, 1));
        line.put("chunk_ms", round(result.chunkSeconds() * 1e3, 1));
        line.put("peak_gib", round(ResidentMemory.peak().orElse(0) / 0x1p30, 2));
        return line;
    }

    /** Adapters that change what the model says: those that begin training would not. */
    private void writeRandom(QuantConfig weights, List<Path> folders) {
        LoraConfig settings = LoraConfig.DEFAULT.withRank(16, 16);
        try (CausalModel base =
                Models.load(model.path, weights, weights.computeDtype().onThisMachine())) {
            for (int i = 0; i < folders.size(); i++) {
                try (LoraAdapter adapter =
                        LoraAdapter.create(
                                settings, base.linears(), base.parameters(), base.compute(), i)) {
                    adapter.detach();
                    RandomFactors.fill(adapter, i);
                    PeftAdapter.save(adapter, folders.get(i), null);
                }
            }
        }
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted((a, b) -> b.compareTo(a)).toList()) {
                Files.delete(file);
            }
        }
    }
}

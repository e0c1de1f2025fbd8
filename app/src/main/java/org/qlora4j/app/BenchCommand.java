package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.family.Models;
import org.qlora4j.family.NamedShapes;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.measure.PackingBench;
import org.qlora4j.measure.TrainBench;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.ModelShape;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.ResidentMemory;
import org.qlora4j.tensor.TensorScope;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/**
 * {@code qlora bench train}: how fast this machine trains, beside what its matrix products would
 * allow; {@code qlora bench decode} is {@link BenchDecodeCommand}, {@code qlora bench serve} {@link
 * BenchServeCommand}.
 */
@Command(
        name = "bench",
        description = "Time training and generating on this machine.",
        subcommands = {BenchCommand.Train.class, BenchDecodeCommand.class, BenchServeCommand.class})
final class BenchCommand implements Runnable {
    @Spec @Nullable CommandSpec spec;

    @Override
    public void run() {
        Objects.requireNonNull(spec, "picocli sets it").commandLine().usage(System.out);
    }

    /** {@code qlora bench train}. */
    @Command(name = "train", description = "Time training steps on random tokens.")
    static final class Train implements Callable<Integer> {
        @Option(
                names = "--model",
                required = true,
                paramLabel = "DIR|FILE.gguf|llama-tiny|llama-1.1b|llama-3b|llama-8b",
                description = "A checkpoint, or a shape with random weights.")
        String model = "";

        @Option(names = "--batch", description = "Rows (${DEFAULT-VALUE}).")
        int batch = 4;

        @Option(names = "--seq", description = "Tokens a row (${DEFAULT-VALUE}).")
        int seq = 512;

        @Option(names = "--rank", description = "LoRA rank, on all linears (${DEFAULT-VALUE}).")
        int rank = 16;

        @Option(
                names = "--checkpointing",
                description = "Recompute activations in the backward pass.")
        boolean checkpointing;

        @Option(
                names = "--packing",
                description =
                        "Time short examples packed into such rows instead, beside full rows and padded batches.")
        boolean packing;

        @Option(names = "--steps", description = "Timed steps (${DEFAULT-VALUE}).")
        int steps = 6;

        @Option(names = "--warm", description = "Steps before them (${DEFAULT-VALUE}).")
        int warm = 2;

        @Mixin DeviceOption device = new DeviceOption();

        @Option(names = "--json", description = "Print one JSON line.")
        boolean json;

        @Spec @Nullable CommandSpec spec;

        @Override
        public Integer call() {
            PrintWriter out =
                    Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
            Map<String, Object> line = Engine.call(this::measure);
            if (json) {
                out.println(new JsonMapper().writeValueAsString(line));
            } else {
                line.forEach((key, value) -> out.printf("%-16s %s%n", key, value));
            }
            return ExitCode.OK;
        }

        private Map<String, Object> packing(CausalModel loaded) {
            Map<String, PackingBench.Rate> rates =
                    PackingBench.run(loaded, batch, seq, rank, checkpointing, warm, steps);
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("model", String.valueOf(Path.of(model).getFileName()));
            line.put("batch", batch);
            line.put("seq", seq);
            line.put("ckpt", checkpointing);
            rates.forEach((kind, rate) -> {
                line.put(kind + "_real_tok_s", round(rate.realTokensPerSecond(), 1));
                line.put(kind + "_filled", round(rate.filled(), 3));
            });
            rates.forEach((kind, rate) -> {
                if (!kind.equals("packed")) {
                    double packed = rates.getOrDefault("packed", rate).realTokensPerSecond();
                    line.put("packed_to_" + kind, round(packed / rate.realTokensPerSecond(), 3));
                }
            });
            return line;
        }

        private Map<String, Object> measure() {
            Kernels kernels = Kernels.select(device.choice());
            long start = System.nanoTime();
            ModelShape shape = NamedShapes.named(model).orElse(null);
            try (TensorScope scope = TensorScope.open();
                    CausalModel loaded =
                            shape == null
                                    ? Models.load(
                                            Path.of(model),
                                            QuantConfig.DEFAULT,
                                            kernels.defaultCompute())
                                    : Models.random(
                                            shape,
                                            QuantConfig.DEFAULT,
                                            kernels.defaultCompute(),
                                            false,
                                            0)) {
                double loadSeconds = (System.nanoTime() - start) / 1e9;
                Path path = Path.of(model);
                if (packing) {
                    return packing(loaded);
                }
                TrainBench.Result result =
                        TrainBench.run(loaded, batch, seq, rank, checkpointing, warm, steps);
                Map<String, Object> line = new LinkedHashMap<>();
                line.put("model", String.valueOf(path.getFileName()));
                line.put("device", kernels.deviceName());
                line.put("kernels", kernels.name());
                line.put("dtype", loaded.compute() == DType.BF16 ? "bfloat16" : "float32");
                line.put("batch", batch);
                line.put("seq", seq);
                line.put("ckpt", checkpointing);
                line.put("tok_s", round(result.tokensPerSecond(), 1));
                line.put("step_s", round(result.medianSeconds(), 3));
                line.put(
                        "peak_gib",
                        round(ResidentMemory.peak().orElse(0) / (double) (1L << 30), 2));
                line.put("peak_tensors_gib", round(NativeMemory.peakBytes() / 0x1p30, 2));
                kernels.deviceBytesTaken()
                        .ifPresent(bytes -> line.put("device_gib", round(bytes / 0x1p30, 2)));
                line.put("load_s", round(loadSeconds, 1));
                line.put("trainable", result.trainable());
                line.put("losses", result.losses().stream().map(l -> round(l, 4)).toList());
                line.put("gemm_gflops", round(result.gemmGflops(), 1));
                line.put("limit_tok_s", round(result.limitTokensPerSecond(), 1));
                line.put(
                        "share",
                        round(result.tokensPerSecond() / result.limitTokensPerSecond(), 3));
                Map<String, List<Double>> operations = new LinkedHashMap<>();
                result.operations()
                        .forEach((name, ms) ->
                                operations.put(name, List.of(round(ms[0], 1), round(ms[1], 1))));
                line.put("operations_ms", operations);
                return line;
            }
        }
    }

    static double round(double value, int digits) {
        return Double.parseDouble(String.format(Locale.ROOT, "%." + digits + "f", value));
    }
}

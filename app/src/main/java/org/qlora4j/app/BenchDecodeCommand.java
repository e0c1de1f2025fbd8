package org.qlora4j.app;

import static org.qlora4j.app.BenchCommand.round;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.family.Models;
import org.qlora4j.family.NamedShapes;
import org.qlora4j.generate.InferenceHead;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.measure.DecodeBench;
import org.qlora4j.measure.TrainBench;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.ModelShape;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.ResidentMemory;
import org.qlora4j.tensor.TensorScope;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/**
 * {@code qlora bench decode}: how fast this machine reads a prompt and generates one text, beside
 * what its matrix products and its memory would allow.
 */
@Command(name = "decode", description = "Time reading a prompt and generating behind it.")
final class BenchDecodeCommand implements Callable<Integer> {
    @Option(
            names = "--model",
            required = true,
            paramLabel = "DIR|FILE.gguf|llama-tiny|llama-1.1b|llama-3b|llama-8b",
            description = "A checkpoint, or a shape with random weights.")
    String model = "";

    @Option(
            names = "--prompt",
            paramLabel = "N",
            description = "Tokens of the prompt (${DEFAULT-VALUE}).")
    int prompt = 512;

    @Option(
            names = "--tokens",
            paramLabel = "N",
            description = "Timed tokens behind a prompt of 32 (${DEFAULT-VALUE}).")
    int tokens = 64;

    @Option(
            names = "--warm",
            paramLabel = "N",
            description = "Tokens generated before them (${DEFAULT-VALUE}).")
    int warm = 256;

    @Option(
            names = "--exact-head",
            description = "Keep the head as in the checkpoint; else in 8 bits where that is close.")
    boolean exactHead;

    @Mixin HeldOption held = new HeldOption();

    @Mixin DeviceOption device = new DeviceOption();

    @Option(names = "--json", description = "Print one JSON line.")
    boolean json;

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        Map<String, Object> line = Engine.call(this::measure);
        if (json) {
            out.println(new JsonMapper().writeValueAsString(line));
        } else {
            line.forEach((key, value) -> out.printf("%-20s %s%n", key, value));
        }
        return ExitCode.OK;
    }

    private Map<String, Object> measure() {
        Kernels kernels = Kernels.select(device.choice());
        DType compute = kernels.defaultCompute();
        QuantConfig quantization = held.config();
        ModelShape shape = NamedShapes.named(model).orElse(null);
        Path path = Path.of(model);
        try (TensorScope scope = TensorScope.open();
                CausalModel loaded =
                        shape == null
                                ? Models.load(path, quantization, compute)
                                : Models.random(shape, quantization, compute, false, 0);
                InferenceHead head =
                        exactHead ? InferenceHead.exact(loaded) : new InferenceHead(loaded)) {
            ModelShape config = loaded.shape();
            double gflops = TrainBench.gemmGflops(config, prompt, compute);
            DecodeBench.Result result = DecodeBench.run(loaded, head, prompt, warm, tokens);
            double limit = gflops * 1e9 / flopsOfToken(config);
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("model", String.valueOf(path.getFileName()));
            line.put("device", kernels.deviceName());
            line.put("kernels", kernels.name());
            line.put("dtype", compute == DType.BF16 ? "bfloat16" : "float32");
            line.put("threads", Engine.threads());
            line.put("prompt", prompt);
            line.put("new_tokens", tokens);
            line.put("prefill_tok_s", round(result.prefillTokensPerSecond(), 1));
            line.put("decode_tok_s", round(result.decodeTokensPerSecond(), 1));
            line.put("head_bits", head.bits());
            double divergence = head.divergence();
            if (!Double.isNaN(divergence)) { // of random tokens; text costs less
                line.put("head_kl_nats", round(divergence, 7));
            }
            line.put("token_mib", round(result.bytesOfToken() / 0x1p20, 1));
            line.put("read_gb_s", round(result.readBytesPerSecond() / 1e9, 1));
            line.put("decode_share", round(result.bandwidthShare(), 3));
            line.put("gemm_gflops", round(gflops, 1));
            line.put("prefill_limit_tok_s", round(limit, 1));
            line.put("prefill_share", round(result.prefillTokensPerSecond() / limit, 3));
            line.put("peak_gib", round(ResidentMemory.peak().orElse(0) / 0x1p30, 2));
            Map<String, Double> operations = new LinkedHashMap<>();
            result.operations().forEach((name, ms) -> operations.put(name, round(ms, 3)));
            line.put("decode_operations_ms", operations);
            return line;
        }
    }

    /** Arithmetic of the linears for one token of a prompt: all but attention and the head. */
    private static double flopsOfToken(ModelShape shape) {
        return 2.0 * shape.linearCount();
    }
}

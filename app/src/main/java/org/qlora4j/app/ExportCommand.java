package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.Overrides;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.error.ConfigException;
import org.qlora4j.export.AdapterCopy;
import org.qlora4j.export.AdapterMerge;
import org.qlora4j.export.GgufAdapter;
import org.qlora4j.export.GgufFormat;
import org.qlora4j.export.MergeTarget;
import org.qlora4j.export.ModelExport;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.kernel.DeviceChoice;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.plan.RunInputs;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.run.AdapterFolder;
import org.qlora4j.tensor.Engine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code qlora export --model DIR --format gguf --type Q4_K_M --out FILE}: for other programs. */
@Command(
        name = "export",
        description = "Write a model, with an adapter worked into it if given, for other programs.",
        footer = {
            "",
            "Before a GGUF file gets its name, chats are rendered and cut into tokens by its own template and tokenizer and"
                    + " compared id by id with the model's, and so are answers."
        })
final class ExportCommand implements Callable<Integer> {
    private static final int TEXTS = 20;

    @Mixin ModelOption model = new ModelOption();

    @Mixin AdapterOptions adapters = new AdapterOptions();

    @Option(
            names = "--format",
            required = true,
            paramLabel = "gguf|gguf-lora|ollama|hf|peft",
            description =
                    "gguf for llama.cpp; gguf-lora, the adapter alone for llama.cpp; ollama, a folder with GGUF and Modelfile; hf for transformers and vLLM; peft, the adapter alone with its model card.")
    String format = "";

    @Option(
            names = "--type",
            paramLabel = "TYPE",
            description = "How GGUF holds weights: F16, BF16, Q8_0, Q4_K_M and others (Q4_K_M).")
    String type = GgufFormat.Q4_K_M.name();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "PATH",
            description = "The .gguf file, or the folder, to make.")
    Path out = Path.of("");

    @Option(
            names = "--into",
            paramLabel = "original|dequantized",
            description = "What the adapter is added to, see qlora merge (original).")
    String into = MergeTarget.ORIGINAL.key();

    @Option(
            names = "--force",
            description = "Write a GGUF file that differs from the model, as NAME-unchecked.gguf.")
    boolean force;

    @Mixin DeviceOption device = new DeviceOption();

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        MergeTarget target = MergeTarget.of(into);
        GgufFormat weights = GgufFormat.of(type);
        DeviceChoice place = device.choice();
        Engine.run(() -> Kernels.select(place));
        PrintWriter lines = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        switch (format.toLowerCase(Locale.ROOT)) {
            case "gguf" -> print(lines, export(target).gguf(weights, out, force));
            case "gguf-lora" -> writeAdapter(lines);
            case "ollama" -> print(lines, export(target).ollama(weights, out, force));
            case "hf" -> {
                AdapterMerge.Result result = source().write(target, out);
                lines.printf(
                        Locale.ROOT,
                        "%s: %d tensors in %s, %s%n",
                        out,
                        result.tensors(),
                        result.type(),
                        ByteSize.text(result.bytes()));
            }
            case "peft" -> {
                Path adapter = adapters.only("--format peft");
                List<String> files = AdapterCopy.write(ModelPlace.of(model.path), adapter, out);
                lines.println(out + ": " + String.join(", ", files));
            }
            default ->
                    throw ConfigException.of(
                            "--format must be gguf, gguf-lora, ollama, hf or peft, got %s", format);
        }
        return ExitCode.OK;
    }

    private void writeAdapter(PrintWriter lines) {
        Path adapter = adapters.only("--format gguf-lora");
        int changed = GgufAdapter.write(ModelPlace.of(model.path), adapter, out);
        lines.println(out + ": an adapter of " + changed + " weights, for llama.cpp's --lora");
    }

    private ModelExport export(MergeTarget target) {
        return new ModelExport(source(), target, List.of(), texts());
    }

    /** The first examples that the run was trained on, as it read them. */
    private List<String> texts() {
        AdapterFolder files =
                adapters.paths.isEmpty() ? null : AdapterFolder.of(adapters.paths.getFirst());
        if (files == null || files.settings() == null) {
            return List.of();
        }
        Path run = Objects.requireNonNull(files.files().toAbsolutePath().getParent());
        Overrides few =
                Overrides.ofWords(
                        List.of("data.max_train_samples=" + TEXTS, "data.eval_dataset_size=0"));
        RunConfig settings = RunConfigReader.read(run.resolve("config.yaml"), few);
        try (RunInputs inputs = RunInputs.read(settings)) {
            return inputs.data().train().examples().stream()
                    .limit(TEXTS)
                    .map(example -> inputs.tokenizer().decode(example.ids(), false))
                    .toList();
        }
    }

    private AdapterMerge source() {
        if (adapters.paths.isEmpty()) {
            return new AdapterMerge(
                    ModelPlace.of(model.path), null, null, QuantConfig.DEFAULT, null);
        }
        AdapterFolder files = AdapterFolder.of(adapters.paths.getFirst());
        RunConfig run = files.settings();
        return new AdapterMerge(
                ModelPlace.of(model.path),
                adapters.mix(),
                files.chatTemplateText(),
                run == null ? QuantConfig.DEFAULT : run.quantization(),
                null);
    }

    private void print(PrintWriter lines, ModelExport.Result result) {
        result.differences().forEach(line -> lines.println("warning: " + line));
        result.notices().forEach(line -> lines.println("note: " + line));
        lines.printf(
                Locale.ROOT,
                "%s: %s, %s%n",
                result.file(),
                GgufFormat.of(type),
                ByteSize.text(result.bytes()));
    }
}

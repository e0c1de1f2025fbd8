package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.DataConfig;
import org.qlora4j.data.TrainingSet;
import org.qlora4j.error.ConfigException;
import org.qlora4j.eval.MergeComparison;
import org.qlora4j.export.AdapterMerge;
import org.qlora4j.export.AdapterMix;
import org.qlora4j.export.MergeTarget;
import org.qlora4j.export.ModelCard;
import org.qlora4j.export.RoundingLoss;
import org.qlora4j.family.Families;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.kernel.DeviceChoice;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.plan.RunInputs;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.run.AdapterFolder;
import org.qlora4j.run.RunCheckpoint;
import org.qlora4j.run.RunFacts;
import org.qlora4j.tensor.Engine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code qlora merge --model DIR --adapter DIR --out DIR}: one model of a base and an adapter. */
@Command(
        name = "merge",
        description =
                "Work an adapter into its base model: one folder that transformers, vLLM and qlora load without the adapter.",
        footer = {
            "",
            "QLoRA trains an adapter beside weights rounded to 4 bits. --into dequantized adds it to those, --into original to"
                    + " the checkpoint's own, --into nf4 rounds the sum to 4 bits again. With --text, or a run that held examples"
                    + " out, all three are measured against base and adapter, and the last line says which to ship."
        })
final class MergeCommand implements Callable<Integer> {
    @Mixin ModelOption model = new ModelOption();

    @Mixin AdapterOptions adapters = new AdapterOptions();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "DIR",
            description = "The folder to make.")
    Path out = Path.of("");

    @Option(
            names = "--into",
            paramLabel = "original|dequantized|nf4",
            description = "What the adapter is added to (original).")
    String into = MergeTarget.ORIGINAL.key();

    @Option(
            names = "--text",
            paramLabel = "FILE",
            description =
                    "Texts to measure on: .txt, or any data that qlora train reads. Without it, what the run held out.")
    @Nullable Path text;

    @Mixin DeviceOption device = new DeviceOption();

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        MergeTarget target = MergeTarget.of(into);
        adapters.require("merge");
        if (text != null && !Files.exists(text)) {
            throw ConfigException.of("%s does not exist; name a file as --text", text);
        }
        DeviceChoice place = device.choice();
        Engine.run(() -> Kernels.select(place));
        AdapterFolder files = AdapterFolder.of(adapters.paths.getFirst());
        AdapterMix mix = adapters.mix();
        RunConfig run = files.settings();
        ModelPlace base = ModelPlace.of(model.path);
        AdapterMerge merge =
                new AdapterMerge(
                        base,
                        mix,
                        files.chatTemplateText(),
                        run == null ? QuantConfig.DEFAULT : run.quantization(),
                        ModelCard.text(base, mix, target, facts(files, base)));
        PrintWriter lines = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        AdapterMerge.Result result = merge.write(target, out);
        lines.printf(
                Locale.ROOT,
                "%s: %d tensors, %d of them changed, in %s, %s in %d file%s%n",
                out,
                result.tensors(),
                result.loss().tensors(),
                result.type(),
                ByteSize.text(result.bytes()),
                result.files(),
                result.files() == 1 ? "" : "s");
        printLoss(lines, result);
        if (!mix.isSingle()) {
            lines.println("not measured: there is no one adapter to compare with");
            return ExitCode.OK;
        }
        List<MergeComparison.Piece> pieces = pieces(files);
        if (pieces.isEmpty()) {
            lines.println("not measured: the run held no examples out; give texts as --text FILE");
        } else {
            print(lines, target, MergeComparison.measure(merge, out, pieces));
        }
        return ExitCode.OK;
    }

    /** What the run says of itself; nothing of an adapter of no run. */
    private static Map<String, String> facts(AdapterFolder files, ModelPlace base) {
        RunConfig run = files.settings();
        return run == null
                ? Map.of()
                : RunCheckpoint.ifWhole(files.files())
                        .map(checkpoint ->
                                RunFacts.of(run, checkpoint.state(), base.shape().parameterCount()))
                        .orElse(Map.of());
    }

    private static void printLoss(PrintWriter lines, AdapterMerge.Result result) {
        RoundingLoss loss = result.loss();
        lines.printf(
                Locale.ROOT,
                "%srounded to %s, %.1f%% of what the adapter changes is left, with noise of %.1f%% of it%n",
                loss.loses() ? "warning: " : "",
                result.type(),
                100 * loss.kept(),
                100 * loss.noise());
    }

    private List<MergeComparison.Piece> pieces(AdapterFolder files) {
        if (text != null && text.toString().endsWith(".txt")) {
            return MergeComparison.ofText(text, out, Families.shape(out).maxPositions());
        }
        DataConfig trained = files.data();
        if (text == null && trained == null) {
            return List.of();
        }
        RunConfig settings =
                text == null
                        ? null
                        : RunConfig.of(
                                "model.model_name_or_path=" + out,
                                "data.dataset=" + text.toAbsolutePath());
        DataConfig data = settings == null ? trained : settings.data();
        try (RunInputs inputs = RunInputs.load(ModelPlace.of(out), Objects.requireNonNull(data))) {
            TrainingSet held = settings == null ? inputs.data().eval() : inputs.data().train();
            return held == null ? List.of() : MergeComparison.ofExamples(held.examples());
        }
    }

    private static void print(
            PrintWriter lines, MergeTarget written, MergeComparison.Result result) {
        lines.printf(
                Locale.ROOT,
                "%nmeasured on %d tokens     KL (nats)  perplexity%n",
                result.tokens());
        for (MergeComparison.Row row : result.rows()) {
            MergeTarget target = row.target();
            lines.printf(
                    Locale.ROOT,
                    "%-25s %10s  %10.4f%n",
                    target == null ? "base + adapter" : target.key(),
                    target == null ? "" : String.format(Locale.ROOT, "%.5f", row.divergence()),
                    row.perplexity());
        }
        MergeTarget best = result.best();
        lines.printf(
                "ship %s (%s)%s%n",
                best.key(),
                best.what(),
                best == written ? "" : "; merge again with --into " + best.key());
    }
}

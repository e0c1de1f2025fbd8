package org.qlora4j.export;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.AtomicFolder;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.Families;
import org.qlora4j.family.GgufFolder;
import org.qlora4j.lora.WeightChanges;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.LoadedModel;
import org.qlora4j.model.ModelShape;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Writes a model, perhaps with an adapter worked into it, as a GGUF file. The file gets its name
 * only when its tokenizer, its chat template and its answers are those of the model ({@link
 * ExportGate}, {@link AnswerCheck}).
 *
 * @param source the model and the adapter, if any
 * @param into what an adapter is added to
 * @param chats to be compared besides those that are built in
 * @param texts of the training data, as the model read them; compared likewise
 */
public record ModelExport(
        AdapterMerge source,
        MergeTarget into,
        List<List<Map<String, Object>>> chats,
        List<String> texts) {
    private static final QuantConfig PLAIN =
            new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);

    /**
     * What was written.
     *
     * @param file as it is named
     * @param bytes of the file
     * @param notices what the file cannot say, or was not compared; a line each
     * @param differences those that the gate found, written all the same when forced
     */
    public record Result(Path file, long bytes, List<String> notices, List<String> differences) {}

    /**
     * Writes a GGUF file.
     *
     * @param force whether it is written though it differs; its name then ends in {@code
     *     -unchecked.gguf}
     * @throws ConfigException if there is something at {@code out}
     * @throws FormatException if the model has no form in GGUF, or the export differs from it
     */
    public Result gguf(GgufFormat format, Path out, boolean force) {
        if (!out.toString().endsWith(".gguf")) {
            throw ConfigException.of("%s must be named .gguf; name a file as --out", out);
        }
        requireFree(out);
        return Engine.call(() -> {
            Path building = begin(out);
            try (Checkpoint checkpoint = source.model().open();
                    WeightChanges stored = source.open()) {
                ModelShape base = source.model().shape();
                MergedCheckpoint weights = source.merged(checkpoint, stored, base, into);
                Path folder = Files.createDirectory(building.resolve("model"));
                source.writeCompanions(weights, stored, base, MergeTarget.ORIGINAL, folder);
                Path file = building.resolve("export.gguf");
                ModelShape shape = Families.shape(folder);
                List<String> notices =
                        new ArrayList<>(
                                new GgufExport(weights, shape, folder, name(out))
                                        .write(format, file));
                Path read = Files.createDirectory(building.resolve("read"));
                List<String> differences =
                        differences(weights, shape, folder, file, read, format, notices);
                return named(out, file, force, notices, differences);
            } finally {
                delete(building);
            }
        });
    }

    /**
     * Writes a folder for {@code ollama create}: the GGUF file and a Modelfile.
     *
     * @param out a folder that does not exist yet
     */
    public Result ollama(GgufFormat format, Path out, boolean force) {
        requireFree(out);
        try (AtomicFolder folder = AtomicFolder.begin(out.toAbsolutePath())) {
            Result result = gguf(format, folder.path().resolve("model.gguf"), force);
            Path name = Objects.requireNonNull(result.file().getFileName(), "it was just named");
            Path read = folder.path().resolve("read");
            try {
                GgufFolder.write(result.file(), Files.createDirectory(read));
                try (Tokenizer tokenizer = Tokenizer.load(read)) {
                    Set<Integer> stops = Families.shape(read).eosIds();
                    AtomicFiles.writeText(
                            folder.path().resolve("Modelfile"),
                            Modelfile.of(tokenizer, stops).text(name.toString()));
                }
                delete(read);
            } catch (IOException e) {
                throw new DeviceException(
                        "cannot write %s: %s; choose another folder"
                                .formatted(out, AtomicFiles.reason(e)),
                        e);
            }
            folder.commit();
            return new Result(out, result.bytes(), result.notices(), result.differences());
        }
    }

    private static void requireFree(Path out) {
        if (Files.exists(out)) {
            throw ConfigException.of("%s exists; name a new file for the export", out);
        }
    }

    private static String name(Path out) {
        return String.valueOf(out.getFileName()).replaceFirst("\\.gguf$", "");
    }

    private static Path begin(Path out) {
        Path parent = out.toAbsolutePath().getParent();
        try {
            return Files.createTempDirectory(parent, ".qlora-export-");
        } catch (IOException e) {
            throw new DeviceException(
                    "cannot write %s: %s; choose another folder"
                            .formatted(out, AtomicFiles.reason(e)),
                    e);
        }
    }

    private List<String> differences(
            MergedCheckpoint weights,
            ModelShape shape,
            Path folder,
            Path file,
            Path read,
            GgufFormat format,
            List<String> notices) {
        GgufFolder.write(file, read);
        ModelShape exported = Families.shape(read);
        List<String> out = new ArrayList<>();
        try (Tokenizer own = Tokenizer.load(folder);
                Tokenizer other = Tokenizer.load(read)) {
            Set<Integer> stops = StopTokens.of(shape.eosIds(), own);
            out.addAll(
                    ExportGate.differences(
                            own,
                            other,
                            stops,
                            exported.eosIds(),
                            shape.vocabularySize(),
                            chats,
                            texts));
            if (!out.isEmpty()) {
                return out;
            }
            long needed = 4 * shape.parameterCount();
            if (needed > memory() * 0.7) {
                notices.add(
                        "answers were not compared, which would take %.1f GiB"
                                .formatted(needed / 0x1p30));
                return out;
            }
            String difference = answers(weights, shape, exported, file, format, own, stops);
            if (difference != null) {
                out.add(difference);
            }
        }
        return out;
    }

    private static long memory() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system
                ? system.getTotalMemorySize()
                : Long.MAX_VALUE;
    }

    private static @Nullable String answers(
            MergedCheckpoint weights,
            ModelShape shape,
            ModelShape exported,
            Path file,
            GgufFormat format,
            Tokenizer tokenizer,
            Set<Integer> stops) {
        List<int[]> prompts = ExportGate.prompts(tokenizer, shape.maxPositions() / 2);
        List<AnswerCheck.Answer> expected;
        try (CausalModel model = LoadedModel.read(shape, weights, PLAIN, DType.F32, false, null)) {
            expected = AnswerCheck.answers(model, prompts, stops);
        }
        try (Checkpoint written = Checkpoint.open(file);
                CausalModel model =
                        LoadedModel.read(exported, written, PLAIN, DType.F32, false, null)) {
            return AnswerCheck.difference(expected, model, tokenizer, format.isFloat());
        }
    }

    private static Result named(
            Path out, Path file, boolean force, List<String> notices, List<String> differences)
            throws IOException {
        if (!differences.isEmpty() && !force) {
            throw FormatException.of(
                    "%s is not written: %s; --force writes it all the same",
                    out, String.join("; ", differences));
        }
        Path named =
                differences.isEmpty() ? out : out.resolveSibling(name(out) + "-unchecked.gguf");
        requireFree(named);
        Files.move(file, named.toAbsolutePath(), StandardCopyOption.ATOMIC_MOVE);
        return new Result(named, Files.size(named), notices, differences);
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}

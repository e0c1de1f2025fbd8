package org.qlora4j.study;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.export.ModelFolder;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.plan.RunInputs;
import org.qlora4j.quant.TrialType;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.TrainResult;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.train.TrainingRun;
import tools.jackson.databind.json.JsonMapper;

/**
 * The same finetuning again and again, but for one thing: where adapters sit and their rank (arXiv
 * 2305.14314, Figure 2), or in what precision the base is held (Tables 3 and 4). Each with several
 * seeds; what is compared is the perplexity of held-out texts.
 */
final class FinetuneStudy implements Study {
    private static final List<String> ALL = List.of("all-linear");

    private final String title;
    private final List<String> settings;
    private final List<StudyCell> cells;
    private final Map<StudyCell, List<String>> words;

    private FinetuneStudy(String title, List<String> settings, Map<StudyCell, List<String>> words) {
        this.title = title;
        this.settings = settings;
        this.words = words;
        this.cells = List.copyOf(words.keySet());
        for (StudyCell cell : cells) {
            RunConfig run = config(cell, Path.of("run"));
            if (!run.data().holdsOut()) {
                throw new ConfigException(
                        "a study that finetunes needs held-out examples; set data.eval_dataset or data.eval_dataset_size");
            }
        }
    }

    /** Where adapters sit, and of what rank. */
    static FinetuneStudy adapters(StudyConfig config, List<String> settings) {
        Map<StudyCell, List<String>> words = new LinkedHashMap<>();
        config.targets()
                .forEach((name, linears) -> {
                    for (int rank : config.ranks()) {
                        for (int seed : config.seeds()) {
                            Map<String, Object> facts = new LinkedHashMap<>();
                            facts.put("targets", name);
                            facts.put("rank", rank);
                            facts.put("seed", seed);
                            String group = name + "-r" + rank;
                            List<String> own = seeded(seed);
                            Object targets = linears.equals(ALL) ? ALL.getFirst() : linears;
                            own.add(
                                    "lora.target_modules="
                                            + new JsonMapper().writeValueAsString(targets));
                            own.add("lora.r=" + rank);
                            words.put(new StudyCell(group + "-s" + seed, group, facts), own);
                        }
                    }
                });
        return new FinetuneStudy("Where adapters sit, and their rank", settings, words);
    }

    /** In what precision the base is held. */
    static FinetuneStudy precision(StudyConfig config, List<String> settings) {
        Map<StudyCell, List<String>> words = new LinkedHashMap<>();
        for (String precision : config.precisions()) {
            for (int seed : config.seeds()) {
                Map<String, Object> facts = new LinkedHashMap<>();
                facts.put("precision", precision);
                facts.put("seed", seed);
                List<String> own = seeded(seed);
                boolean fourBits = precision.startsWith("nf4") || precision.equals("fp4");
                own.add("quantization.load_in_4bit=" + fourBits);
                if (fourBits) {
                    own.add("quantization.bnb_4bit_quant_type=" + precision.substring(0, 3));
                    own.add("quantization.bnb_4bit_use_double_quant=" + precision.endsWith("-dq"));
                }
                words.put(new StudyCell(precision + "-s" + seed, precision, facts), own);
            }
        }
        return new FinetuneStudy("Precision of the base while finetuning", settings, words);
    }

    private static List<String> seeded(int seed) {
        return new ArrayList<>(List.of("train.seed=" + seed));
    }

    @Override
    public String title() {
        return title;
    }

    @Override
    public String stamp() {
        return String.join("\n", settings);
    }

    @Override
    public List<StudyCell> cells() {
        return cells;
    }

    private RunConfig config(StudyCell cell, Path out, String... more) {
        List<String> all = new ArrayList<>(settings);
        all.addAll(words.getOrDefault(cell, List.of()));
        all.addAll(List.of(more));
        all.add("train.output_dir=" + out);
        return RunConfig.of(all.toArray(String[]::new));
    }

    @Override
    public StudyCell.Result measure(StudyCell cell, Path folder) {
        RunConfig run = config(cell, folder);
        Path base = base(cell, run, folder);
        if (base != null) {
            run = config(cell, folder, "model.model_name_or_path=" + base);
        }
        boolean begun = Files.isDirectory(folder);
        TrainResult trained = new TrainingRun(run, begun, RunListener.NONE).run();
        if (trained.adapter() == null) {
            throw new ConfigException(folder + " was stopped before its first step");
        }
        return score(cell, run, trained.adapter(), trained.lastLoss());
    }

    private static StudyCell.Result score(
            StudyCell cell, RunConfig run, Path adapter, double lastLoss) {
        return Engine.call(() -> {
            Kernels.select(run.model().device());
            DType compute = run.quantization().computeDtype().onThisMachine();
            ModelPlace place = ModelPlace.of(run.model());
            try (RunInputs inputs = RunInputs.load(run);
                    CausalModel model =
                            Models.load(place, run.quantization(), compute, false, null);
                    LoraAdapter loaded =
                            PeftAdapter.load(
                                    adapter, model.linears(), model.parameters(), compute)) {
                double bits =
                        "int8".equals(cell.facts().get("precision"))
                                ? TrialType.INT8.bits(
                                        64, false, model.linears().getFirst().weight().in())
                                : RoundedWeights.bitsAsHeld(model);
                return new StudyCell.Result(
                        bits,
                        Double.NaN,
                        Map.of(),
                        HeldOutTexts.score(model, inputs.data()),
                        lastLoss);
            }
        });
    }

    /**
     * The base of a cell where it is not the model as it is: rounded to 8 bits, or decoded where
     * the checkpoint is in 4 bits, which would else stay so whatever the precision.
     */
    private static @Nullable Path base(StudyCell cell, RunConfig run, Path folder) {
        Object precision = cell.facts().get("precision");
        if ("int8".equals(precision)) {
            return madeBase(run, folder.resolveSibling("base-int8"), TrialType.INT8);
        }
        return precision != null && inFourBits(ModelPlace.of(run.model()))
                ? madeBase(run, folder.resolveSibling("base-decoded"), null)
                : null;
    }

    private static boolean inFourBits(ModelPlace place) {
        if (place.weights().toString().endsWith(".gguf")) {
            return false;
        }
        try (Checkpoint checkpoint = place.open()) {
            return !Bnb4bit.of(checkpoint).weights().isEmpty();
        }
    }

    /** The model with its linears rounded, or only decoded, as a folder; made once. */
    private static Path madeBase(RunConfig run, Path folder, @Nullable TrialType type) {
        if (Files.isDirectory(folder)) {
            return folder;
        }
        return Engine.call(() -> {
            Kernels.select(run.model().device());
            ModelPlace place = ModelPlace.of(run.model());
            Path runs = folder.resolveSibling("bases");
            Files.createDirectories(runs);
            // other processes may make it at the same time
            Path own = Files.createTempDirectory(runs, folder.getFileName() + "-");
            try (CausalModel model =
                    Models.load(
                            place,
                            run.quantization().withLoad4bit(false),
                            DType.F32,
                            false,
                            null)) {
                if (type == null) {
                    RoundedWeights.decode(model);
                } else {
                    RoundedWeights.round(model, type, 64, false);
                }
                ModelFolder.write(model, place.folder(), own);
            }
            if (!own.toFile().renameTo(folder.toFile()) && !Files.isDirectory(folder)) {
                throw new IOException(folder + " cannot be made");
            }
            return folder;
        });
    }
}

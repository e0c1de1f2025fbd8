package org.qlora4j.study;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.config.RunConfig;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.model.CausalModel;
import org.qlora4j.plan.RunInputs;
import org.qlora4j.quant.TrialType;
import org.qlora4j.tensor.Engine;

/**
 * What data types cost (arXiv 2305.14314, Table 2 and Figure 3): linear weights are rounded to each
 * and back; how far they move, and how the perplexity of held-out texts changes.
 */
final class DatatypeStudy implements Study {
    private final StudyConfig config;
    private final RunConfig run;

    DatatypeStudy(StudyConfig config, RunConfig run) {
        this.config = config;
        this.run = run;
    }

    @Override
    public String title() {
        return "Data types of weights";
    }

    @Override
    public String stamp() {
        return run.model() + "\n" + run.data() + "\n" + run.quantization().computeDtype();
    }

    @Override
    public List<StudyCell> cells() {
        List<StudyCell> cells = new ArrayList<>();
        cells.add(new StudyCell("as-is", "as-is", Map.of("datatype", "as it is")));
        for (String type : config.datatypes()) {
            if (!TrialType.of(type).map(TrialType::hasBlocks).orElseThrow()) {
                cells.add(new StudyCell(type, type, Map.of("datatype", type)));
                continue;
            }
            for (int block : config.blockSizes()) {
                for (boolean nested : config.doubleQuant()) {
                    String name = type + "-" + block + (nested ? "-dq" : "");
                    Map<String, Object> facts = new LinkedHashMap<>();
                    facts.put("datatype", type);
                    facts.put("block", block);
                    facts.put("double", nested);
                    cells.add(new StudyCell(name, name, facts));
                }
            }
        }
        return cells;
    }

    @Override
    public StudyCell.Result measure(StudyCell cell, Path folder) {
        return Engine.call(() -> {
            Kernels.select(run.model().device());
            ModelPlace place = ModelPlace.of(run.model());
            try (RunInputs inputs = RunInputs.load(place, run.data());
                    CausalModel model =
                            Models.load(
                                    place,
                                    run.quantization().withLoad4bit(false),
                                    run.quantization().computeDtype().onThisMachine(),
                                    false,
                                    null)) {
                RoundedWeights rounded = rounded(model, cell);
                return new StudyCell.Result(
                        rounded.bits(),
                        rounded.layers().isEmpty() ? Double.NaN : rounded.error(),
                        rounded.layers(),
                        HeldOutTexts.score(model, inputs.data()),
                        Double.NaN);
            }
        });
    }

    private static RoundedWeights rounded(CausalModel model, StudyCell cell) {
        return TrialType.of(String.valueOf(cell.facts().get("datatype")))
                .map(type ->
                        RoundedWeights.round(
                                model,
                                type,
                                cell.facts().get("block") instanceof Integer block ? block : 64,
                                Boolean.TRUE.equals(cell.facts().get("double"))))
                .orElseGet(() -> new RoundedWeights(Map.of(), RoundedWeights.bitsAsHeld(model)));
    }
}

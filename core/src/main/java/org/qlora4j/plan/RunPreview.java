package org.qlora4j.plan;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.BiFunction;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.BadData;
import org.qlora4j.data.Example;
import org.qlora4j.data.ExampleView;
import org.qlora4j.data.Inspection;
import org.qlora4j.error.ConfigException;
import org.qlora4j.model.Task;
import org.qlora4j.plan.MemoryPlan.Load;
import org.qlora4j.plan.MemoryPlan.Machine;
import org.qlora4j.tokenize.Tokenizer;

/**
 * A run before it begins: what it would learn from its data, how many steps it takes, and how much
 * memory. No weight is loaded.
 *
 * @param inspection of the data
 * @param examples to look at: remarkable ones, then the first
 * @param steps of the run
 * @param stepsPerEpoch steps of one pass over the data
 * @param memory of the run, with rows as long as the longest example
 * @param advice on settings with which it fits, if it does not as it is
 */
public record RunPreview(
        Inspection inspection,
        List<Marked> examples,
        int steps,
        int stepsPerEpoch,
        MemoryPlan memory,
        MemoryAdvice advice) {
    /** Examples that are looked at for being the first. */
    private static final int FIRST = 5;

    /**
     * An example as text.
     *
     * @param why what is remarkable about it; empty for nothing
     */
    public record Marked(Example example, String why, List<ExampleView.Stretch> text) {
        /** File and line. */
        public String place() {
            return example.file() + ":" + example.line();
        }
    }

    /**
     * Reads all of the data, beyond records that have a fault.
     *
     * @param bytes that the tensors of the run may take
     */
    public static RunPreview of(RunConfig config, long bytes) {
        return inspect(
                config, 1, FIRST, (inputs, inspection) -> of(config, inputs, inspection, bytes));
    }

    private static RunPreview of(
            RunConfig config, RunInputs inputs, Inspection inspection, long bytes) {
        List<Marked> examples = new ArrayList<>();
        inspection
                .shown()
                .forEach(shown ->
                        examples.add(marked(shown.example(), shown.why(), inputs.tokenizer())));
        Set<String> places = new HashSet<>(examples.stream().map(Marked::place).toList());
        inspection.leaves().stream()
                .map(example -> marked(example, "", inputs.tokenizer()))
                .filter(marked -> places.add(marked.place()))
                .forEach(examples::add);
        int stepsPerEpoch = inputs.data().sampler(config).stepsPerEpoch();
        Load load = load(config, inputs, inspection.quantile(1));
        MemoryAdvice advice = MemoryAdvice.of(config, inputs.shape(), load, Machine.here(), bytes);
        MemoryPlan memory =
                MemoryPlan.of(
                        config, inputs.shape(), load, Machine.here(), MemoryPlan.keptBytes(config));
        return new RunPreview(
                inspection,
                examples,
                config.train().totalSteps(stepsPerEpoch),
                stepsPerEpoch,
                memory,
                advice);
    }

    private static Marked marked(Example example, String why, Tokenizer tokenizer) {
        return new Marked(example, why, ExampleView.stretches(example, tokenizer));
    }

    /** Rows of the longest example, where a row is one; else as long as the settings allow. */
    private static Load load(RunConfig config, RunInputs inputs, int longest) {
        Task task = inputs.shape().architecture().task();
        if (config.data().packing() || !(task instanceof Task.NextToken)) {
            return Load.of(config, inputs.shape());
        }
        int multiple = inputs.data().padToMultipleOf();
        int time = Math.ceilDiv(longest, multiple) * multiple;
        return Load.of(config, config.train().rowsAtOnce(1), 0, time);
    }

    /**
     * Reads all of the data, beyond records that have a fault, and looks at it.
     *
     * @param from the first example to leaf through in the order of the data, at least 1
     * @param most how many there are to leaf through, at least 0
     * @param then makes something of what was found, before what was read is closed
     */
    public static <T> T inspect(
            RunConfig config, int from, int most, BiFunction<RunInputs, Inspection, T> then) {
        RunConfig lenient = config.toBuilder().data(data -> data.onBadData(BadData.SKIP)).build();
        try (RunInputs inputs = RunInputs.read(lenient)) {
            if (inputs.shape().architecture().task() instanceof Task.Classify) {
                throw new ConfigException(
                        "data inspect shows texts that are learnt, and of classes there are none; qlora train --dry-run shows a text with"
                                + " its class");
            }
            Tokenizer tokenizer = inputs.tokenizer();
            Set<Integer> stops = new HashSet<>(inputs.shape().eosIds());
            if (stops.isEmpty()) {
                tokenizer.eosId().ifPresent(stops::add);
            }
            return then.apply(
                    inputs,
                    Inspection.of(
                            inputs.data().train(), config.data(), tokenizer, stops, from, most));
        }
    }
}

package org.qlora4j.plan;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.qlora4j.config.RunConfig;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.lora.LoraInit;
import org.qlora4j.model.ModelShape;
import org.qlora4j.plan.MemoryPlan.Load;
import org.qlora4j.plan.MemoryPlan.Machine;

/**
 * What to set so that a run fits a memory: each change costs more time than the one before it, and
 * none changes what is learnt.
 *
 * @param settings words such as {@code train.gradient_checkpointing=true}; empty if the run fits as
 *     it is
 * @param plan of the run so changed
 * @param fits whether it fits; if not, nothing here makes it
 */
public record MemoryAdvice(List<String> settings, MemoryPlan plan, boolean fits) {
    /** No micro-batch has more rows. */
    private static final int MOST_ROWS = (1 << 13) - 1;

    public MemoryAdvice {
        settings = List.copyOf(settings);
    }

    /**
     * The first of these that fits: the run as it is, checkpointing, a paged optimizer, smaller
     * micro-batches with more of them in a step, layers that stay on disk.
     *
     * @param machine what computes
     * @param bytes that tensors may take
     */
    public static MemoryAdvice of(RunConfig config, ModelShape model, Machine machine, long bytes) {
        return of(config, model, Load.of(config, model), machine, bytes);
    }

    /** As the one above, for rows whose length is known. */
    static MemoryAdvice of(
            RunConfig config, ModelShape model, Load begin, Machine machine, long bytes) {
        Load load = begin;
        Map<String, Long> kept = MemoryPlan.keptBytes(config);
        int accumulation = config.train().gradientAccumulationSteps();
        List<String> settings = new ArrayList<>();
        MemoryPlan plan = MemoryPlan.of(config, model, load, machine, kept);
        if (plan.total() > bytes && !load.checkpointing()) {
            load = load.withCheckpointing();
            settings.add("train.gradient_checkpointing=true");
            plan = MemoryPlan.of(config, model, load, machine, kept);
        }
        if (plan.total() > bytes && !load.optim().paged()) {
            load = load.withPaging();
            settings.add("train.optim=" + load.optim().name().toLowerCase(Locale.ROOT));
            plan = MemoryPlan.of(config, model, load, machine, kept);
        }
        int batch = load.batch();
        boolean divided = load.stages() > 1; // its pieces are small already
        while (plan.total() > bytes && batch % 2 == 0 && !divided) { // odd: another step's size
            batch /= 2;
            accumulation *= 2;
            plan = MemoryPlan.of(config, model, load.withBatch(batch), machine, kept);
        }
        if (batch != load.batch()) {
            settings.add("train.per_device_train_batch_size=" + batch);
            settings.add("train.gradient_accumulation_steps=" + accumulation);
        }
        if (plan.total() > bytes && !load.streamed() && mayStream(config)) {
            settings.add("model.stream_layers=true");
            load = load.withStreaming();
            plan = MemoryPlan.of(config, model, load.withBatch(batch), machine, kept);
        }
        return new MemoryAdvice(settings, plan, plan.total() <= bytes);
    }

    /** Whether its layers can be read from disk as they are used; true where none are known. */
    private static boolean mayStream(RunConfig config) {
        return !config.train().fullFinetune()
                && config.train().pipelineParallelSize() == 1
                && !(config.lora().initLoraWeights() instanceof LoraInit.Pissa)
                && ModelPlace.find(Path.of(config.model().modelNameOrPath()))
                        .map(Models::mayBeIn4Bits)
                        .orElse(true);
    }

    /** Most rows a micro-batch may have in so many bytes, everything else as set; 0 if none. */
    public static int largestBatch(
            RunConfig config, ModelShape model, Machine machine, long bytes) {
        Load load = Load.of(config, model);
        Map<String, Long> kept = MemoryPlan.keptBytes(config);
        int fits = 0;
        int step = 1;
        boolean grows = true; // by twice as much each time, as few rows are quick to ask for
        while (step > 0) {
            Load tried = load.withBatch(fits + step);
            boolean more =
                    fits + step <= MOST_ROWS
                            && MemoryPlan.of(config, model, tried, machine, kept).total() <= bytes;
            fits += more ? step : 0;
            grows &= more;
            step = grows ? 2 * step : step / 2;
        }
        return fits;
    }
}

package org.qlora4j.measure;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.config.ConfigMapper;
import org.qlora4j.config.EvalConfig;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.SectionBinder;
import org.qlora4j.data.Batch;
import org.qlora4j.data.Example;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.model.CausalModel;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.OptimConfig;
import org.qlora4j.optim.OptimType;
import org.qlora4j.optim.ParameterGroup;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.plan.RunInputs;
import org.qlora4j.plan.TrainingData;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.train.Learner;
import org.qlora4j.train.MicroBatch;
import org.qlora4j.train.TrainingRun;
import tools.jackson.databind.node.ObjectNode;

/**
 * Shows on this machine, with a run's own model and data, that what must not matter does not: how a
 * step is cut into micro-batches, whether examples are packed into a row, whether activations are
 * kept or computed again, where the optimizer's state lies. In f32, where differences are rounding
 * of sums alone, and in the dtype that the run computes in. Without dropout, whose masks follow the
 * micro-batches.
 */
public final class SelfCheck {
    /** Examples of the step that is taken apart: the first of the data. */
    private static final int EXAMPLES = 4;

    /** Tokens of an example that are used, so that the check takes seconds. */
    private static final int TOKENS = 128;

    /** Updates after which two optimizers are compared. */
    private static final int UPDATES = 2;

    private final RunConfig config;
    private final CausalModel model;
    private final Learner learner;
    private final TrainableParameters parameters;
    private final List<Example> examples;
    private final int padId;
    private final List<Row> rows = new ArrayList<>();

    private SelfCheck(
            RunConfig config,
            CausalModel model,
            Learner learner,
            TrainableParameters parameters,
            List<Example> examples,
            int padId) {
        this.config = config;
        this.model = model;
        this.learner = learner;
        this.parameters = parameters;
        this.examples = examples;
        this.padId = padId;
    }

    /**
     * One comparison.
     *
     * @param name what was done in two ways
     * @param dtype in which it was computed
     * @param loss difference of the two losses over the first
     * @param lossTolerance the most that passes
     * @param gradient norm of the difference of the two gradients over that of the first; for
     *     optimizers, the same of the changes of the weights
     * @param gradientTolerance the most that passes
     */
    public record Row(
            String name,
            String dtype,
            double loss,
            double lossTolerance,
            double gradient,
            double gradientTolerance) {
        /** Whether both differences are within their tolerance; one that is no number is not. */
        public boolean holds() {
            return loss <= lossTolerance && gradient <= gradientTolerance;
        }
    }

    /** How far rounding alone may lead two orders of the same sums apart. */
    private record Tolerance(double loss, double gradient) {
        /** The same operations in the same order: no more than a last bit. */
        static final Tolerance SAME = new Tolerance(1e-6, 1e-6);

        /** Matrix products of other shapes add up in another order. */
        static Tolerance reordered(ComputeDtype dtype) {
            return dtype == ComputeDtype.FLOAT32
                    ? new Tolerance(1e-5, 1e-4)
                    : new Tolerance(1e-2, 5e-2);
        }
    }

    /** Makes all comparisons, on the engine thread. */
    public static List<Row> run(RunConfig config) {
        return Engine.call(() -> onEngine(config));
    }

    private static List<Row> onEngine(RunConfig config) {
        if (config.train().threads() > 0) {
            Engine.setThreads(config.train().threads());
        }
        Kernels.select(config.model().device());
        Set<ComputeDtype> dtypes = new LinkedHashSet<>();
        dtypes.add(ComputeDtype.FLOAT32);
        dtypes.add(config.quantization().computeDtype());
        List<Row> rows = new ArrayList<>();
        try (RunInputs inputs = RunInputs.load(changed(config, ComputeDtype.FLOAT32))) {
            for (ComputeDtype dtype : dtypes) {
                RunConfig changed = changed(config, dtype);
                try (CausalModel model =
                        TrainingRun.load(inputs.place(), changed, config.train().fullFinetune())) {
                    model.resizeVocabulary(inputs.rows());
                    rows.addAll(rows(changed, model, inputs, dtype));
                }
            }
        }
        return rows;
    }

    private static List<Row> rows(
            RunConfig config, CausalModel model, RunInputs inputs, ComputeDtype dtype) {
        TrainingData data = inputs.data();
        try (Learner learner = Learner.create(config, inputs.place(), model, null);
                TrainableParameters parameters =
                        new TrainableParameters(
                                learner.parameters(),
                                p -> ParameterGroup.of(p, config.train().loraplusLrRatio()))) {
            SelfCheck check =
                    new SelfCheck(config, model, learner, parameters, firstOf(data), data.padId());
            check.compareAll(dtype);
            return check.rows;
        }
    }

    /** The settings with another dtype, without dropout, and of the data only what is needed. */
    private static RunConfig changed(RunConfig config, ComputeDtype dtype) {
        ObjectNode tree = ConfigMapper.YAML.valueToTree(config);
        ObjectNode quantization = tree.withObject("/quantization");
        quantization.set("bnb_4bit_compute_dtype", ConfigMapper.YAML.valueToTree(dtype));
        tree.withObject("/lora").put("lora_dropout", 0.0);
        tree.withObject("/data").put("max_train_samples", EXAMPLES);
        tree.withObject("/data").put("eval_dataset_size", 0.0).putNull("eval_dataset");
        tree.set("eval", ConfigMapper.YAML.valueToTree(EvalConfig.DEFAULT));
        return SectionBinder.bind(tree, RunConfig.class);
    }

    /** The first examples, cut short; one that loses all its labels so is learnt whole. */
    private static List<Example> firstOf(TrainingData data) {
        int count = Math.min(EXAMPLES, data.train().lengths().length);
        List<Example> out = new ArrayList<>();
        for (Example e : data.train().examples().subList(0, count)) {
            int length = Math.min(TOKENS, e.length());
            int[] ids = Arrays.copyOf(e.ids(), length);
            BitSet labelled = e.labelled().get(0, length);
            if (labelled.length() <= 1) {
                labelled.set(0, length);
            }
            out.add(new Example(ids, labelled, e.file(), e.line(), length, false));
        }
        return out;
    }

    private void compareAll(ComputeDtype dtype) {
        List<Batch> together = List.of(Batch.of(examples, padId, 1));
        List<Batch> packed = List.of(Batch.packed(List.of(examples), padId, 1));
        List<Batch> apart = examples.stream().map(e -> Batch.of(List.of(e), padId, 1)).toList();
        warmUp(together);
        try (TensorScope scope = TensorScope.open()) {
            Gradient kept = gradient(together, false);
            String split = "1 batch of %d, %d of 1".formatted(examples.size(), examples.size());
            add(split, dtype, kept, gradient(apart, false), Tolerance.reordered(dtype));
            String row = "%d rows of 1, 1 row of %d".formatted(examples.size(), examples.size());
            add(row, dtype, kept, gradient(packed, false), Tolerance.reordered(dtype));
            add(
                    "activations kept, recomputed",
                    dtype,
                    kept,
                    gradient(together, true),
                    Tolerance.SAME);
        }
        try (TensorScope scope = TensorScope.open()) {
            gradient(together, false);
            List<Tensor> before = copies(Parameter::master);
            Gradient inMemory = updates(OptimType.ADAMW_TORCH, before);
            Gradient paged = updates(OptimType.PAGED_ADAMW_32BIT, before);
            add("optimizer in memory, paged", dtype, inMemory, paged, Tolerance.SAME);
        }
    }

    /** An update, after which no factor is zero: while B is, A has no gradient to compare. */
    private void warmUp(List<Batch> batches) {
        try (TensorScope scope = TensorScope.open();
                AdamW optimizer = optimizer(OptimType.ADAMW_TORCH)) {
            gradient(batches, false);
            optimizer.step(1e-3);
            parameters.refresh();
        }
    }

    /**
     * A gradient, or another vector of all weights.
     *
     * @param loss sum of the losses it belongs to
     * @param parts of each parameter, owned by the scope around
     */
    private record Gradient(double loss, List<Tensor> parts) {}

    private Gradient gradient(List<Batch> batches, boolean checkpointing) {
        parameters.zeroGradients();
        double loss = 0;
        for (Batch batch : batches) {
            loss += MicroBatch.backward(model, batch, checkpointing, 0);
        }
        return new Gradient(loss, copies(Parameter::grad));
    }

    /** What some updates with the gradients as they are change in the weights, which come back. */
    private Gradient updates(OptimType type, List<Tensor> before) {
        try (AdamW optimizer = optimizer(type)) {
            for (int i = 0; i < UPDATES; i++) {
                optimizer.step(1e-3);
            }
        }
        List<Tensor> changes = copies(Parameter::master);
        List<Parameter> all = learner.parameters();
        for (int i = 0; i < before.size(); i++) {
            changes.get(i).subInPlace(before.get(i));
            all.get(i).master().copyFrom(before.get(i));
            all.get(i).refresh();
        }
        return new Gradient(0, changes);
    }

    private AdamW optimizer(OptimType type) {
        OptimConfig given = config.train().optimizer();
        return new AdamW(
                parameters,
                new OptimConfig(
                        type, given.beta1(), given.beta2(), given.epsilon(), given.weightDecay()),
                Path.of(System.getProperty("java.io.tmpdir")));
    }

    private List<Tensor> copies(Function<Parameter, Tensor> part) {
        return learner.parameters().stream().map(p -> part.apply(p).copy()).toList();
    }

    private void add(
            String name, ComputeDtype dtype, Gradient first, Gradient second, Tolerance tolerance) {
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < first.parts.size(); i++) {
            try (TensorScope scope = TensorScope.open()) {
                Tensor a = first.parts.get(i);
                Tensor d = a.minus(second.parts.get(i)).reshape(-1);
                difference += d.dot(d);
                norm += a.reshape(-1).dot(a.reshape(-1));
            }
        }
        double loss =
                first.loss == second.loss
                        ? 0
                        : Math.abs(first.loss - second.loss) / Math.abs(first.loss);
        rows.add(
                new Row(
                        name,
                        ConfigMapper.YAML.valueToTree(dtype).asString(),
                        loss,
                        tolerance.loss,
                        Math.sqrt(difference / norm),
                        tolerance.gradient));
    }
}

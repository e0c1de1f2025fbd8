package org.qlora4j.measure;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.qlora4j.autograd.OperationTimes;
import org.qlora4j.data.Batch;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.ModelShape.LinearShape;
import org.qlora4j.model.Task;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.OptimConfig;
import org.qlora4j.optim.OptimType;
import org.qlora4j.optim.ParameterGroup;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.train.MicroBatch;

/**
 * Times training steps on random tokens, beside what the machine's matrix products alone would
 * take.
 */
public final class TrainBench {
    private TrainBench() {}

    /**
     * @param seconds of each timed step
     * @param losses of all steps, mean over tokens
     * @param gemmGflops rate of the compute dtype's matrix products at the model's own shapes
     * @param limitTokensPerSecond the arithmetic of a step at that rate
     * @param operations milliseconds a step of each operation, forward and backward
     */
    public record Result(
            List<Double> seconds,
            List<Double> losses,
            long trainable,
            double gemmGflops,
            double tokensPerSecond,
            double limitTokensPerSecond,
            Map<String, double[]> operations) {
        public double medianSeconds() {
            double[] sorted = seconds.stream().mapToDouble(Double::doubleValue).sorted().toArray();
            int n = sorted.length;
            return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
        }
    }

    /**
     * @param warm steps before those that are timed
     */
    public static Result run(
            CausalModel model,
            int batch,
            int time,
            int rank,
            boolean checkpointing,
            int warm,
            int steps) {
        LoraConfig lora = LoraConfig.DEFAULT.withRank(rank, 16);
        OptimConfig adam = new OptimConfig(OptimType.ADAMW_TORCH, 0.9, 0.999, 1e-8, 0.01);
        double gflops = gemmGflops(model.shape(), batch * time, model.compute());
        List<Double> seconds = new ArrayList<>();
        List<Double> losses = new ArrayList<>();
        OperationTimes times = OperationTimes.ofThisThread();
        Random random = new Random(1);
        long trainable;
        try (LoraAdapter adapter =
                        LoraAdapter.create(
                                lora, model.linears(), model.parameters(), model.compute(), 0);
                TrainableParameters parameters =
                        new TrainableParameters(
                                adapter.parameters(), p -> ParameterGroup.of(p, null));
                AdamW optimizer = new AdamW(parameters, adam, java.nio.file.Path.of("."))) {
            trainable = adapter.parameterCount();
            for (int i = 0; i < warm + steps; i++) {
                if (i == warm) {
                    times.reset();
                }
                Batch ids = randomBatch(random, model, batch, time);
                long start = System.nanoTime();
                double loss = MicroBatch.backward(model, ids, checkpointing, i);
                parameters.divideAndClip(ids.labelTokens(), 0);
                optimizer.step(2e-4);
                parameters.refresh();
                parameters.zeroGradients();
                Engine.synchronize();
                if (i >= warm) {
                    seconds.add((System.nanoTime() - start) / 1e9);
                }
                losses.add(loss / ids.labelTokens());
            }
        }
        double flops = StepCost.of(model.shape(), batch, time, rank).flops();
        Result timed =
                new Result(
                        seconds,
                        losses,
                        trainable,
                        gflops,
                        0,
                        batch * (double) time * gflops * 1e9 / flops,
                        perStep(times, steps));
        return new Result(
                seconds,
                losses,
                trainable,
                gflops,
                batch * time / timed.medianSeconds(),
                timed.limitTokensPerSecond,
                timed.operations);
    }

    private static Map<String, double[]> perStep(OperationTimes times, int steps) {
        Map<String, double[]> out = new TreeMap<>();
        times.snapshot()
                .forEach((name, entry) ->
                        out.put(
                                name,
                                new double[] {
                                    entry.forwardNanos() / 1e6 / steps,
                                    entry.backwardNanos() / 1e6 / steps
                                }));
        return out;
    }

    /** All tokens are learnt; the second half where a source is read, one class where that is. */
    private static Batch randomBatch(Random random, CausalModel model, int batch, int time) {
        int[] ids = random.ints((long) batch * time, 0, model.vocabularySize()).toArray();
        boolean[] mask = new boolean[ids.length];
        Arrays.fill(mask, true);
        Task task = model.shape().architecture().task();
        int read =
                switch (task) {
                    case Task.NextToken next -> 0;
                    case Task.Classify classify -> time - 1;
                    case Task.SequenceToSequence both -> time / 2;
                };
        int[] labels = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = task instanceof Task.Classify && i % time == read ? 0 : ids[i];
            labels[i] = i % time < read ? Batch.IGNORED : ids[i];
        }
        return new Batch(batch, time, ids, labels, mask);
    }

    /**
     * Rate of products with the model's linear shapes and head, weighed by their share of the
     * arithmetic.
     */
    public static double gemmGflops(ModelShape shape, int rows, DType compute) {
        Map<List<Long>, Integer> shapes = new LinkedHashMap<>();
        for (LinearShape s : shape.linears()) {
            shapes.merge(List.of(s.out(), s.in()), 1, Integer::sum);
        }
        shapes.merge(
                List.of((long) shape.vocabularySize(), (long) shape.hiddenSize()), 1, Integer::sum);
        double flops = 0;
        double time = 0;
        for (var entry : shapes.entrySet()) {
            long out = entry.getKey().get(0);
            long in = entry.getKey().get(1);
            long n =
                    Math.min(
                            rows,
                            Math.max(
                                    64,
                                    400_000_000L
                                            / out
                                            / 4)); // bounds the memory of the head's logits
            double best = Double.MAX_VALUE;
            try (TensorScope scope = TensorScope.open()) {
                Tensor x = Tensors.normal(1, 1, n, in).to(compute);
                Tensor w = Tensors.normal(2, 1, out, in).to(compute);
                for (int i = 0; i < 7; i++) {
                    long start = System.nanoTime();
                    try (TensorScope each = TensorScope.open()) {
                        x.linear(w, null);
                    }
                    Engine.synchronize();
                    best = Math.min(best, (System.nanoTime() - start) / 1e9);
                }
            }
            double work = 2.0 * rows * out * in * entry.getValue();
            flops += work;
            time += best * rows / n * entry.getValue();
        }
        return flops / time / 1e9;
    }
}

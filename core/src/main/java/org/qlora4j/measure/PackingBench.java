package org.qlora4j.measure;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.qlora4j.data.Batch;
import org.qlora4j.data.BatchSampler;
import org.qlora4j.data.Example;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.Engine;
import org.qlora4j.train.MicroBatch;

/**
 * Times short examples in packed rows. Beside them it times rows that are one long example each,
 * batches padded to their longest, and such batches of examples of like length. They take turns, so
 * that whatever else the machine does slows all.
 */
public final class PackingBench {
    private static final double MEAN = 100;
    private static final double SIGMA = 0.8;
    private static final int PADDED_ROWS = 8;
    private static final int EXAMPLES = 2000;

    private PackingBench() {}

    /**
     * Tokens without padding a second, and how full the batches were.
     *
     * @param filled tokens without padding as a share of all
     */
    public record Rate(double realTokensPerSecond, double filled) {}

    /**
     * @param batch rows of full and packed batches
     * @param time tokens of a full row, and the limit of a packed one
     * @return the rates of {@code full}, {@code packed}, {@code padded} and {@code grouped}, over
     *     all steps
     */
    public static Map<String, Rate> run(
            CausalModel model,
            int batch,
            int time,
            int rank,
            boolean checkpointing,
            int warm,
            int steps) {
        Random random = new Random(1);
        Map<String, List<Batch>> batches = new LinkedHashMap<>();
        int count = warm + steps;
        batches.put("full", full(random, model.vocabularySize(), batch, time, count));
        List<Example> examples = examples(random, model.vocabularySize(), time);
        int[] lengths = examples.stream().mapToInt(Example::length).toArray();
        batches.put(
                "packed",
                spread(examples, BatchSampler.packing(lengths, time, batch, 1, 1), count));
        batches.put(
                "padded",
                spread(examples, new BatchSampler(lengths, false, PADDED_ROWS, 1, 1), count));
        batches.put(
                "grouped",
                spread(examples, new BatchSampler(lengths, true, PADDED_ROWS, 1, 1), count));
        Map<String, Rate> rates = new LinkedHashMap<>();
        LoraConfig lora = LoraConfig.DEFAULT.withRank(rank, 16);
        try (LoraAdapter adapter =
                LoraAdapter.create(lora, model.linears(), model.parameters(), model.compute(), 0)) {
            Map<String, Double> seconds = new LinkedHashMap<>();
            for (int i = 0; i < count; i++) {
                for (Map.Entry<String, List<Batch>> kind : batches.entrySet()) {
                    long start = System.nanoTime();
                    MicroBatch.backward(model, kind.getValue().get(i), checkpointing, i);
                    Engine.synchronize();
                    if (i >= warm) {
                        seconds.merge(
                                kind.getKey(), (System.nanoTime() - start) / 1e9, Double::sum);
                    }
                }
            }
            batches.forEach((kind, all) ->
                    rates.put(
                            kind, rate(all.subList(warm, count), seconds.getOrDefault(kind, 0.0))));
        }
        return rates;
    }

    private static Rate rate(List<Batch> batches, double seconds) {
        long real = batches.stream().mapToLong(Batch::realTokens).sum();
        long all = batches.stream().mapToLong(b -> (long) b.batch() * b.time()).sum();
        return new Rate(real / seconds, real / (double) all);
    }

    private static List<Batch> full(Random random, int vocabulary, int batch, int time, int count) {
        List<Batch> out = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            List<Example> rows = new ArrayList<>();
            for (int row = 0; row < batch; row++) {
                rows.add(example(random, vocabulary, time));
            }
            out.add(Batch.of(rows, 0, 1));
        }
        return out;
    }

    /** Examples of lognormal lengths with a mean of {@value #MEAN}, up to a limit. */
    private static List<Example> examples(Random random, int vocabulary, int limit) {
        double mu = Math.log(MEAN) - SIGMA * SIGMA / 2;
        List<Example> out = new ArrayList<>();
        for (int i = 0; i < EXAMPLES; i++) {
            double length = Math.exp(mu + SIGMA * random.nextGaussian());
            out.add(example(random, vocabulary, (int) Math.clamp(Math.round(length), 2, limit)));
        }
        return out;
    }

    private static Example example(Random random, int vocabulary, int length) {
        BitSet labelled = new BitSet();
        labelled.set(0, length);
        int[] ids = random.ints(length, 0, vocabulary).toArray();
        return new Example(ids, labelled, "random", 1, length, false);
    }

    /** Batches spread evenly over an epoch: where lengths are grouped, the first ones are long. */
    private static List<Batch> spread(List<Example> examples, BatchSampler sampler, int count) {
        List<Batch> out = new ArrayList<>();
        int apart = Math.max(1, sampler.stepsPerEpoch() / count);
        for (int step = 0; step < count; step++) {
            List<List<Example>> rows = new ArrayList<>();
            for (int[] row : sampler.stepAt((long) step * apart).batches().getFirst()) {
                List<Example> ofRow = new ArrayList<>();
                for (int place : row) {
                    ofRow.add(examples.get(place));
                }
                rows.add(ofRow);
            }
            out.add(Batch.packed(rows, 0, 1));
        }
        return out;
    }
}

package org.qlora4j.measure;

import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.qlora4j.autograd.OperationTimes;
import org.qlora4j.generate.InferenceHead;
import org.qlora4j.generate.KeyValueCache;
import org.qlora4j.generate.NextLogits;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** Times reading a prompt and generating behind a short one, on random tokens. */
public final class DecodeBench {
    /** Positions in the cache where decoding starts, as in the peers' scripts. */
    private static final int START = 32;

    /** Timed runs, of which the fastest counts. */
    private static final int RUNS = 3;

    private DecodeBench() {}

    /**
     * @param prefillSeconds reading the prompt, the fastest of three times
     * @param decodeSeconds all timed tokens, without choosing among the logits, the fastest of
     *     three times
     * @param bytesOfToken weights that a token reads: linears and head
     * @param readBytesPerSecond what this machine reads from memory, by libtorch's sum of a large
     *     tensor
     * @param operations milliseconds of each operation in a step of decoding
     */
    public record Result(
            int prompt,
            int tokens,
            double prefillSeconds,
            double decodeSeconds,
            long bytesOfToken,
            double readBytesPerSecond,
            Map<String, Double> operations) {
        public double prefillTokensPerSecond() {
            return prompt / prefillSeconds;
        }

        public double decodeTokensPerSecond() {
            return tokens / decodeSeconds;
        }

        /** What decoding reads in a second, as a share of what the machine can. */
        public double bandwidthShare() {
            return bytesOfToken * decodeTokensPerSecond() / readBytesPerSecond;
        }
    }

    /**
     * @param head of the model, as it is to be timed
     * @param prompt tokens of the prompt that is timed
     * @param warm tokens generated before those that are timed, until the JVM's compilers are done
     */
    public static Result run(
            CausalModel model, InferenceHead head, int prompt, int warm, int tokens) {
        try (NextLogits next = new NextLogits(model, head)) {
            return run(model, head, next, prompt, warm, tokens);
        }
    }

    private static Result run(
            CausalModel model,
            InferenceHead head,
            NextLogits next,
            int prompt,
            int warm,
            int tokens) {
        Random random = new Random(1);
        int[] ids = random.ints(Math.max(prompt, START), 0, model.vocabularySize()).toArray();
        double prefill = Double.MAX_VALUE;
        for (int i = 0; i <= RUNS; i++) {
            try (KeyValueCache cache = new KeyValueCache(model, 1)) {
                long start = System.nanoTime();
                next.prefill(Arrays.copyOf(ids, prompt), cache);
                double seconds = (System.nanoTime() - start) / 1e9;
                prefill = i == 0 ? prefill : Math.min(prefill, seconds); // the first one warms
            }
        }
        OperationTimes times = OperationTimes.ofThisThread();
        double decode = Double.MAX_VALUE;
        try (KeyValueCache cache = new KeyValueCache(model, 1)) {
            cache.reserve(START + Math.max(warm, tokens));
            next.prefill(Arrays.copyOf(ids, START), cache);
            feed(next, ids, warm, cache);
            times.reset();
            for (int i = 0; i < RUNS; i++) {
                cache.truncate(0, START);
                long start = System.nanoTime();
                feed(next, ids, tokens, cache);
                decode = Math.min(decode, (System.nanoTime() - start) / 1e9);
            }
        }
        Map<String, Double> operations = new TreeMap<>();
        times.snapshot()
                .forEach((name, e) ->
                        operations.put(name, e.forwardNanos() / 1e6 / (RUNS * tokens)));
        return new Result(
                prompt,
                tokens,
                prefill,
                decode,
                bytesOfToken(model, head),
                readBytesPerSecond(),
                operations);
    }

    private static void feed(NextLogits next, int[] ids, int count, KeyValueCache cache) {
        for (int i = 0; i < count; i++) {
            next.next(ids[(START + i) % ids.length], cache);
        }
    }

    private static long bytesOfToken(CausalModel model, InferenceHead head) {
        long bytes = head.byteSize();
        for (LinearLayer linear : model.linears()) {
            bytes += linear.weight().byteSize();
        }
        return bytes;
    }

    private static double readBytesPerSecond() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor large = Tensors.zeros(DType.F32, 64L << 20); // 256 MiB, beyond any cache
            double best = Double.MAX_VALUE;
            for (int i = 0; i < 7; i++) {
                long start = System.nanoTime();
                try (TensorScope each = TensorScope.open()) {
                    large.sum();
                    Engine.synchronize();
                }
                best = Math.min(best, (System.nanoTime() - start) / 1e9);
            }
            return large.byteSize() / best;
        }
    }
}

package org.qlora4j.bench.scale;

import java.nio.file.Path;
import java.util.List;
import org.qlora4j.family.Families;
import org.qlora4j.family.NamedShapes;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.ModelShape;

/**
 * Rates of machines: measured ones, of docs/performance.md and docs/scale.md, and published ones.
 */
final class Measured {
    private static final String SMOLLM2 =
            """
            {"model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "num_hidden_layers": 30,
             "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3,
             "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "eos_token_id": 2}
            """;

    private static final Job SMALL =
            new Job(
                    Families.shape(ConfigFile.parse(Path.of("smollm2"), SMOLLM2)),
                    16,
                    4,
                    512,
                    1,
                    false);
    private static final Job OF_1B = new Job(named("llama-1.1b"), 16, 1, 512, 1, false);
    private static final Job OF_1B_AGAIN = new Job(OF_1B.shape(), 16, 1, 512, 1, true);
    private static final Job OF_3B = new Job(named("llama-3b"), 16, 1, 512, 1, true);
    private static final Job OF_7B = new Job(named("llama-7b"), 64, 1, 512, 1, true);
    private static final Job OF_8B = new Job(named("llama-8b"), 64, 1, 2048, 1, true);

    private static final double SMALL_ONE_CORE = 86.6;
    private static final double SMALL_TWO_CORES = 138;

    /** AMD EPYC Zen 3. */
    static final Processor AVX2 =
            Processor.fitted(
                    "2 cores, AVX2, float32", SMALL, SMALL.tokens() / SMALL_TWO_CORES, OF_7B, 192);

    /** AMD Zen 5. */
    static final Processor AVX512 =
            Processor.fitted(
                    "2 cores, AVX-512, bf16",
                    SMALL,
                    SMALL.tokens() / 786.9,
                    OF_3B,
                    OF_3B.tokens() / 33.1);

    private static final Processor ONE_CORE =
            AVX2.times("1 core", SMALL_ONE_CORE / SMALL_TWO_CORES);

    /**
     * An H100 SXM, which nobody here measured: 400 TFLOP/s of 989 is what Llama 3 was trained with
     * (arXiv 2407.21783, table 4); a weight decoded reads half a byte and writes two, of 3.35 TB/s.
     */
    static final Processor H100 = new Processor("H100, bf16", 400e12, 0, 3.35e12 / 2.5);

    /** Two processes: sums of 4 bytes in 0.56 ms, of 64 MiB in 65.4 ms, medians. */
    static final Link LOOPBACK = new Link("loopback", 0.28e-3, (64 << 20) / 64.8e-3);

    /** Deviation of a process's steps from their mean: 0.5% seen of one process, 4% of four. */
    static final double JITTER = 0.02;

    /** Written and synced: 400 MiB at once. */
    static final double DISK = 470e6;

    private Measured() {}

    static ModelShape named(String name) {
        return NamedShapes.named(name).orElseThrow();
    }

    /**
     * What was measured, beside what the rates give that other measurements gave.
     *
     * @param measured in tokens a second
     * @param simulated likewise
     * @param given whether the rates were taken from this very point
     */
    record Point(String what, double measured, double simulated, boolean given) {
        double error() {
            return simulated / measured - 1;
        }
    }

    static List<Point> points() {
        return List.of(
                alone("SmolLM2, 4 x 512, 1 core", ONE_CORE, SMALL, SMALL_ONE_CORE, true),
                alone("the same, 2 cores", AVX2, SMALL, SMALL_TWO_CORES, true),
                shared("the same, 2 processes on 2 cores", ONE_CORE, 2, 163),
                shared(
                        "the same, 4 processes on 2 cores",
                        ONE_CORE.times("half a core", 0.5),
                        4,
                        148),
                alone("1.1B, 1 x 512, 2 cores", AVX2, OF_1B, 21.6, false),
                alone(
                        "7B, 1 x 512, 2 cores, checkpointing",
                        AVX2,
                        OF_7B,
                        OF_7B.tokens() / 192,
                        true),
                alone("8B, 1 x 2,048, the same", AVX2, OF_8B, OF_8B.tokens() / 781, false),
                alone("SmolLM2, 4 x 512, 2 cores with AVX-512", AVX512, SMALL, 786.9, true),
                alone("1.1B, 1 x 512, the same, checkpointing", AVX512, OF_1B_AGAIN, 98.5, false),
                alone("3B, the same", AVX512, OF_3B, 33.1, true));
    }

    private static Point alone(
            String what, Processor processor, Job job, double measured, boolean given) {
        return new Point(what, measured, job.tokens() / processor.seconds(job), given);
    }

    private static Point shared(String what, Processor processor, int processes, double measured) {
        Job job = SMALL.withBatch(SMALL.batch() / processes);
        Cluster cluster = new Cluster(processor, LOOPBACK, JITTER, DISK);
        double seconds = cluster.play(job, processes, Cluster.Sums.AFTER).seconds();
        return new Point(what, measured, processes * job.tokens() / seconds, false);
    }
}

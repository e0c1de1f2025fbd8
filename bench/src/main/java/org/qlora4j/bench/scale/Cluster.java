package org.qlora4j.bench.scale;

import java.util.Random;
import org.qlora4j.config.TrainConfig;

/**
 * Processes that are alike and share steps, each of which holds the whole model.
 *
 * @param link from each to the next
 * @param jitter standard deviation of a process's time for a step, as a share of it
 * @param diskBytesPerSecond with which process 0 writes checkpoints, while the others wait
 */
record Cluster(Processor processor, Link link, double jitter, double diskBytesPerSecond) {
    private static final int STEPS = 400;
    private static final int SAVE_STEPS = TrainConfig.DEFAULT.saveSteps();

    /** When gradients are summed. */
    enum Sums {
        /** Once the backward pass is over, bucket by bucket: what qlora4j does. */
        AFTER,
        /** Each bucket as soon as the backward pass has made it. */
        DURING,
        /** Once the backward pass is over, in one bucket however large. */
        WHOLE
    }

    /**
     * Seconds of a step.
     *
     * @param compute of a process
     * @param waited for the slowest one
     * @param sum of gradients, as far as nothing is computed meanwhile
     * @param save a checkpoint, spread over the steps between two
     */
    record Step(double compute, double waited, double sum, double save) {
        double seconds() {
            return compute + waited + sum + save;
        }

        /** Share of the time in which it does what one process alone would do. */
        double efficiency() {
            return compute / seconds();
        }
    }

    /** A mean step, of many that are played with the same seed. */
    Step play(Job job, int processes, Sums sums) {
        Random random = new Random(0);
        double alone = processor.seconds(job);
        double slowest = 0;
        for (int step = 0; step < STEPS; step++) {
            double last = Double.NEGATIVE_INFINITY;
            for (int process = 0; process < processes; process++) {
                last = Math.max(last, alone * (1 + jitter * random.nextGaussian()));
            }
            slowest += last / STEPS;
        }
        double save = job.checkpointBytes() / diskBytesPerSecond / SAVE_STEPS;
        return new Step(alone, slowest - alone, sum(job, processes, sums), save);
    }

    /** What a sum adds to the slowest process's time; all end together, round a ring. */
    private double sum(Job job, int processes, Sums sums) {
        long bytes = job.gradientBytes();
        if (processes == 1) {
            return 0;
        }
        return switch (sums) {
            case AFTER -> link.sum(processes, bytes, Link.BUCKET);
            case WHOLE -> link.ring(processes, bytes);
            case DURING -> {
                // only the last micro-batch's backward pass leaves a gradient as it will be
                double backward = processor.seconds(job) / job.microBatches() * job.backwardShare();
                double end = 0; // counted from its begin
                for (long done = 0; done < bytes; ) {
                    long bucket = Math.min(Link.BUCKET, bytes - done);
                    done += bucket;
                    end = Math.max(end, backward * done / bytes) + link.ring(processes, bucket);
                }
                yield end - backward;
            }
        };
    }
}

package org.qlora4j.optim;

import org.qlora4j.error.ConfigException;

/**
 * The learning rate of each step (transformers {@code optimization.py}).
 *
 * @param type its course
 * @param kwargs what the course takes besides
 * @param base the highest rate
 * @param warmup steps in which it rises, from 0 but for {@code warmup_stable_decay}; without
 *     meaning for {@code constant}
 * @param total steps of the run
 */
public record LearningRate(
        LrSchedulerType type, LrSchedulerKwargs kwargs, double base, long warmup, long total) {
    /**
     * @throws ConfigException if the schedule cannot have these kwargs
     */
    public LearningRate {
        kwargs.requireFitting(type);
        if (type == LrSchedulerType.POLYNOMIAL && !(kwargs.number("lr_end", LR_END) < base)) {
            throw ConfigException.of(
                    "train.lr_scheduler_kwargs must hold an lr_end below the learning rate %s, got %s",
                    base, kwargs.number("lr_end", LR_END));
        }
    }

    /** Where {@code polynomial} ends unless told otherwise. */
    private static final double LR_END = 1e-7;

    /** A schedule that takes nothing besides. */
    public LearningRate(LrSchedulerType type, double base, long warmup, long total) {
        this(type, LrSchedulerKwargs.NONE, base, warmup, total);
    }

    /**
     * The rate of the step that follows {@code done} completed ones: the first step of a warm-up
     * has rate 0.
     */
    public double after(long done) {
        return base * factorAfter(done);
    }

    /** The same as a share of the highest rate. */
    private double factorAfter(long done) {
        if (type == LrSchedulerType.CONSTANT) {
            return 1;
        }
        if (type == LrSchedulerType.WARMUP_STABLE_DECAY) {
            return warmupStableDecay(done);
        }
        if (done < warmup) {
            return done / (double) Math.max(1, warmup);
        }
        double left = Math.max(0, total - done) / (double) Math.max(1, total - warmup);
        return switch (type) {
            case CONSTANT, CONSTANT_WITH_WARMUP, WARMUP_STABLE_DECAY -> 1;
            case LINEAR -> left;
            case COSINE -> cosine(left);
            case COSINE_WITH_RESTARTS -> {
                double turns = kwargs.number("num_cycles", 1) * (1 - left);
                yield left <= 0 ? 0 : 0.5 * (1 + Math.cos(Math.PI * (turns % 1)));
            }
            case COSINE_WITH_MIN_LR ->
                    raised(
                            cosine(left),
                            kwargs.number("min_lr_rate", kwargs.number("min_lr", 0) / base));
            case POLYNOMIAL -> {
                double end = kwargs.number("lr_end", LR_END);
                yield ((base - end) * Math.pow(left, kwargs.number("power", 1)) + end) / base;
            }
            case INVERSE_SQRT -> {
                double timescale = kwargs.number("timescale", warmup > 0 ? warmup : 10_000);
                yield 1 / Math.sqrt((done + timescale - warmup) / timescale);
            }
        };
    }

    private double warmupStableDecay(long done) {
        double floor = kwargs.number("min_lr_ratio", 0);
        if (done < warmup) {
            double share = done / (double) warmup;
            return raised(
                    switch (kwargs.text("warmup_type", "linear")) {
                        case "cosine" -> 0.5 * (1 - Math.cos(Math.PI * share));
                        case "1-sqrt" -> 1 - Math.sqrt(1 - share);
                        default -> share;
                    },
                    floor);
        }
        double decay = kwargs.number("num_decay_steps", 0);
        double decayed = done - warmup - kwargs.number("num_stable_steps", total - warmup - decay);
        if (decayed < 0) {
            return 1;
        }
        if (decayed >= decay) {
            return floor;
        }
        double share = decayed / Math.max(1, decay);
        return raised(
                switch (kwargs.text("decay_type", "cosine")) {
                    case "linear" -> 1 - share;
                    case "1-sqrt" -> 1 - Math.sqrt(share);
                    default -> cosine(1 - share);
                },
                floor);
    }

    /** From 1 to 0 along half a cosine, or as many of its turns as asked. */
    private double cosine(double left) {
        double turns = kwargs.number("num_cycles", 0.5) * 2;
        return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * turns * (1 - left))));
    }

    /** A share in [0, 1] as one in [floor, 1]. */
    private static double raised(double share, double floor) {
        return Math.max(0, share * (1 - floor) + floor);
    }
}

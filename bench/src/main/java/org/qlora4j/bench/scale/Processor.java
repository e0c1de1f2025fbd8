package org.qlora4j.bench.scale;

/**
 * What a process computes with: a GPU, cores, or a part of a core.
 *
 * @param flops of products in a second, as training reaches them
 * @param valueSeconds time for a number that is in no product ({@link Job#values})
 * @param decodedPerSecond weights from 4 bits; infinite where the other rates contain it, as those
 *     do that were taken from whole steps
 */
record Processor(String name, double flops, double valueSeconds, double decodedPerSecond) {
    /** The rates with which two steps take what they were measured to take. */
    static Processor fitted(String name, Job one, double seconds, Job other, double otherSeconds) {
        double determinant = one.flops() * other.values() - other.flops() * one.values();
        double flopSeconds = (seconds * other.values() - otherSeconds * one.values()) / determinant;
        double valueSeconds = (one.flops() * otherSeconds - other.flops() * seconds) / determinant;
        return new Processor(name, 1 / flopSeconds, valueSeconds, Double.POSITIVE_INFINITY);
    }

    /** A part of it, or several. */
    Processor times(String newName, double factor) {
        return new Processor(
                newName, flops * factor, valueSeconds / factor, decodedPerSecond * factor);
    }

    /** Seconds of a step of one process. */
    double seconds(Job job) {
        return job.flops() / flops + job.values() * valueSeconds + job.decoded() / decodedPerSecond;
    }
}

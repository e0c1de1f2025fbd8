package org.qlora4j.run;

/**
 * A run that is about to begin.
 *
 * @param firstStep steps done before, by the run that is resumed; else 0
 * @param totalSteps steps at its end
 * @param examples examples an epoch
 * @param heldOut examples it is evaluated on
 * @param baseParameters weights of the base model
 * @param baseBytes bytes in which they are held
 * @param trainable weights that learn
 * @param kernels name of the kernel set
 * @param classifies whether the model classifies texts, and writes none
 * @param processes that train together
 * @param bytesPerStep bytes of gradients that each of them sends in a step; 0 for one
 */
public record RunInfo(
        long firstStep,
        long totalSteps,
        int examples,
        int heldOut,
        long baseParameters,
        long baseBytes,
        long trainable,
        String kernels,
        boolean classifies,
        int processes,
        long bytesPerStep) {}

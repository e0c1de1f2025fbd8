package org.qlora4j.data;

import java.util.List;

/**
 * What one optimizer step is made of.
 *
 * @param step optimizer steps before it, over all epochs
 * @param epoch the epoch it lies in, from 0
 * @param firstBatch the place of its first micro-batch in the epoch, from 0
 * @param batches its micro-batches [rows, places of the examples of a row]; fewer than the
 *     accumulation at an epoch's end, where the last micro-batch may be short too
 */
public record StepPlan(long step, int epoch, int firstBatch, List<int[][]> batches) {}

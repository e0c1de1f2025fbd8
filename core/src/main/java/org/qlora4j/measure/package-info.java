/**
 * What a model costs on this machine, and whether it trains at all. In: a shape or a checkpoint.
 * Out: times of a training step ({@link org.qlora4j.measure.TrainBench}) and of a generated token
 * ({@link org.qlora4j.measure.DecodeBench}), the gain of packing, the answers of {@code qlora
 * check} ({@link org.qlora4j.measure.SelfCheck}).
 */
@NullMarked
package org.qlora4j.measure;

import org.jspecify.annotations.NullMarked;

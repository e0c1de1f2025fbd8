/**
 * The training itself, after the paper (arXiv 2305.14314) and its qlora.py. In: settings and {@code
 * RunInputs}. Out: an adapter or a whole model that has learnt, in a run folder. Open {@link
 * org.qlora4j.train.TrainingRun} first, then {@code TrainingLoop} and {@code TrainingStep}.
 */
@NullMarked
package org.qlora4j.train;

import org.jspecify.annotations.NullMarked;

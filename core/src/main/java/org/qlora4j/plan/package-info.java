/**
 * What is known of a run before a weight is loaded. In: settings, the model's {@code config.json},
 * the data. Out: tokens that the model can take, the memory that a step needs, advice where it is
 * too much. Open {@code RunInputs} first, then {@link org.qlora4j.plan.MemoryPlan}.
 */
@NullMarked
package org.qlora4j.plan;

import org.jspecify.annotations.NullMarked;

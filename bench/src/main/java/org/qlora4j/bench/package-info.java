/**
 * Measurements of kernels by JMH, a class for each contract that has a vector twin. In: shapes of
 * two models. Out: elements and bytes a second. Each checks its answer against the reference twin
 * before it times. Never shipped. Open {@link org.qlora4j.bench.TwinBench} first.
 */
@NullMarked
package org.qlora4j.bench;

import org.jspecify.annotations.NullMarked;

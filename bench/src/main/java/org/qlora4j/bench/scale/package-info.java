/**
 * Training on many processes, computed instead of run. In: rates of processors and links, most of
 * them measured on one machine. Out: the tables at the end of docs/scale.md. Nothing here trains.
 * Open {@link org.qlora4j.bench.scale.Cluster} first; {@link org.qlora4j.bench.scale.ScalePage}
 * prints.
 */
@NullMarked
package org.qlora4j.bench.scale;

import org.jspecify.annotations.NullMarked;

/**
 * The processes that train one model together. In: the variables that torchrun, Slurm and Kubeflow
 * set. Out: {@link org.qlora4j.world.World}, which adds up, agrees and notices who is gone. Open
 * {@code World} first; libtorch's process group and store, which do the work, are in {@code
 * tensor}.
 */
@NullMarked
package org.qlora4j.world;

import org.jspecify.annotations.NullMarked;

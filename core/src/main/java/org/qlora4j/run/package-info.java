/**
 * The folder of a run, and what a run says of itself. In: settings, the state of training, what
 * writes the weights. Out: {@code metrics.jsonl}, checkpoints that are whole or absent, and the one
 * that a run goes on from. Open {@link org.qlora4j.run.RunFolder} first, then {@link
 * org.qlora4j.run.RunCheckpoint}; docs/formats.md lists the files.
 */
@NullMarked
package org.qlora4j.run;

import org.jspecify.annotations.NullMarked;

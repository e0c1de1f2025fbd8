package org.qlora4j.data;

import java.util.OptionalInt;

/**
 * The tokens that are put around text.
 *
 * @param bos put before every source; empty if the model was not trained with one
 * @param eos put after every target
 * @param pad fills the shorter rows of a batch; may be the same as eos, for padding is masked by
 *     place, not by id
 */
public record SpecialIds(OptionalInt bos, int eos, int pad) {}

/**
 * Models and data sets of the Hugging Face hub. In: a name such as {@code org/name}. Out: a folder
 * with its files, in the cache that Python's {@code huggingface_hub} shares: what one has
 * downloaded the other finds. Open {@link org.qlora4j.hub.Hub} first. The layout of the cache and
 * the requests are huggingface_hub's.
 */
@NullMarked
package org.qlora4j.hub;

import org.jspecify.annotations.NullMarked;

/** Measurements of kernels. Each checks its answer before it times. Never shipped. */
@NullMarked
package org.qlora4j.bench;

import org.jspecify.annotations.NullMarked;

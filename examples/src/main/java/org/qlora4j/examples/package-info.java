/** Programs on the library, as the README shows them. */
@NullMarked
package org.qlora4j.examples;

import org.jspecify.annotations.NullMarked;

/**
 * The three kinds of mistake a user can mend, thrown by every package; {@code app} turns them into
 * one line and exit code 2. Anything else that is thrown is a defect of qlora4j. Open {@link
 * org.qlora4j.error.UserException} first.
 */
@NullMarked
package org.qlora4j.error;

import org.jspecify.annotations.NullMarked;

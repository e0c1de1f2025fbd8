/**
 * The command {@code qlora}. In: arguments. Out: lines on stdout, one line on stderr where
 * something failed, an exit code ({@link org.qlora4j.app.ExitCode}). Open {@link
 * org.qlora4j.app.Main} first, then {@code QloraCommand}, which lists the subcommands; each reads
 * its flags and makes one call into the library.
 */
@NullMarked
package org.qlora4j.app;

import org.jspecify.annotations.NullMarked;

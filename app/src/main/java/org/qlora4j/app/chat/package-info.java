/**
 * A conversation in the terminal. In: a {@link org.qlora4j.TextService}, what a person types. Out:
 * answers as they come, wrapped between words. Open {@link org.qlora4j.app.chat.ChatSession} first,
 * which knows of no terminal; {@link org.qlora4j.app.chat.ChatTerminal} reads the lines.
 */
@NullMarked
package org.qlora4j.app.chat;

import org.jspecify.annotations.NullMarked;

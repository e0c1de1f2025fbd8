/**
 * Asking chat models many things, each once. In: {@link org.qlora4j.ask.ChatCall}s. Out: {@link
 * org.qlora4j.ask.ChatReply}s, which a {@link org.qlora4j.ask.CallJournal} keeps on the disk as
 * they come, so that a run that begins again pays for none of them twice. Open {@link
 * org.qlora4j.ask.ChatModel} first; {@link org.qlora4j.ask.HttpChatModel} asks any address that
 * speaks OpenAI's API.
 */
@NullMarked
package org.qlora4j.ask;

import org.jspecify.annotations.NullMarked;

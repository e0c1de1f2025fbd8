/**
 * Text to token ids and back ({@link org.qlora4j.tokenize.Tokenizer}), and chats to prompts ({@link
 * org.qlora4j.tokenize.ChatTemplate}). In: {@code tokenizer.json}, {@code tokenizer_config.json}
 * and {@code chat_template.jinja} of a Hugging Face checkpoint. Out: ids, text. Open {@code
 * Tokenizer} first.
 */
@NullMarked
package org.qlora4j.tokenize;

import org.jspecify.annotations.NullMarked;

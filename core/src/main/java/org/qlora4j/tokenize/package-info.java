/**
 * Text to token ids and back. In: {@code tokenizer.json} of a Hugging Face checkpoint, or the older
 * files that it is made of, and the files beside it that name special tokens and chat templates.
 * Out: ids, text, the checkpoint's {@link org.qlora4j.template.ChatTemplate}; a tokenizer with new
 * tokens, or cut to fewer. Open {@link org.qlora4j.tokenize.Tokenizer} first.
 */
@NullMarked
package org.qlora4j.tokenize;

import org.jspecify.annotations.NullMarked;

/**
 * Text to token ids and back ({@link org.qlora4j.tokenize.Tokenizer}), and chats to prompts ({@link
 * org.qlora4j.tokenize.ChatTemplate}). In: {@code tokenizer.json}, {@code tokenizer_config.json}
 * and {@code chat_template.jinja} of a Hugging Face checkpoint. Out: ids, text. Open {@code
 * Tokenizer} first.
 *
 * <p>Chat templates are Jinja, and a model sees nothing but what they print. So the language is
 * written here, after Jinja2 3.1.6 in the setting of transformers: {@code Lexer}, {@code
 * ExpressionParser} and {@code Parser} make {@code Expr} and {@code Statement}; {@code Interpreter}
 * and {@code Evaluator} run them on Python's values ({@code Types}, {@code Printer}, {@code
 * Arithmetic}, {@code Comparison}, {@code Access}, the methods and filters) within a {@code
 * Budget}. Left out, with a clear error: what reaches for other files, and filters for web pages.
 */
@NullMarked
package org.qlora4j.tokenize;

import org.jspecify.annotations.NullMarked;

/**
 * Chats to prompts. In: a chat template, of a checkpoint or one of the {@link
 * org.qlora4j.template.NamedTemplates}, and messages. Out: the text that the model was trained to
 * read. Open {@link org.qlora4j.template.ChatTemplate} first.
 *
 * <p>Chat templates are Jinja, and a model sees nothing but what they print. So the language is
 * written here, after Jinja2 3.1.6 in the setting of transformers: {@code Lexer}, {@code
 * ExpressionParser} and {@code Parser} make {@code Expr} and {@code Statement}; {@code Interpreter}
 * and {@code Evaluator} run them on Python's values ({@code Types}, {@code Printer}, {@code
 * Arithmetic}, {@code Comparison}, {@code Access}, the methods and filters) within a {@code
 * Budget}. Left out, with a clear error: what reaches for other files, and filters for web pages.
 */
@NullMarked
package org.qlora4j.template;

import org.jspecify.annotations.NullMarked;

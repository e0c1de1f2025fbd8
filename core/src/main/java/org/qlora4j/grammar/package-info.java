/**
 * Texts that must have a form. In: a JSON Schema, the bytes of each token. Out: which tokens may
 * come next. Open {@link org.qlora4j.grammar.TokenMask} first; {@link
 * org.qlora4j.grammar.JsonGrammar} says what a text may be, by JSON (RFC 8259) and the part of JSON
 * Schema (draft 2020-12) that {@link org.qlora4j.grammar.SchemaReader} names. {@link
 * org.qlora4j.grammar.ToolForm} knows how models call tools, and finds the calls again.
 */
@NullMarked
package org.qlora4j.grammar;

import org.jspecify.annotations.NullMarked;

package org.qlora4j.template;

/**
 * The text of a chat template, not yet parsed.
 *
 * @param text in Jinja
 * @param origin where it comes from, for messages: a file, for example
 */
public record TemplateText(String text, String origin) {}

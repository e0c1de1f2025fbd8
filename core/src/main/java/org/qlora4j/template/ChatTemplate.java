package org.qlora4j.template;

import java.time.Clock;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.TemplateError.Kind;

/**
 * A checkpoint's chat template: makes of a chat the one text that the model was trained to read.
 * Written in Jinja and rendered to the letter as Python's Jinja2 3.1.6 does in the setting of
 * transformers; what it cannot render so is an error with line and column, never another prompt.
 * Templates come from strangers: a template reaches no Java object and has a bounded budget of
 * work, memory and stack. Immutable; safe for use by several threads.
 */
public final class ChatTemplate {
    /**
     * Names that transformers models use for an assistant's reasoning; the first is what templates
     * should read.
     */
    private static final List<String> REASONING =
            List.of("reasoning_content", "thinking", "reasoning");

    /** Characters of a template; the longest in use have some ten thousand. */
    private static final int MAX_SOURCE = 4 << 20;

    private final Source source;
    private final @Nullable Source withTools;
    private final Map<String, Object> tokens;
    private final Clock clock;

    private ChatTemplate(
            Source source, @Nullable Source withTools, Map<String, Object> tokens, Clock clock) {
        this.source = source;
        this.withTools = withTools;
        this.tokens = tokens;
        this.clock = clock;
    }

    /** A part of the rendered text, from {@code start} up to without {@code end}, in chars. */
    public record Span(int start, int end) {}

    /**
     * A rendered chat.
     *
     * @param text the prompt
     * @param assistant what stands inside the template's {@code generation} tags, in order; empty
     *     if it has none
     */
    public record Rendered(String text, List<Span> assistant) {}

    /** One parsed template text. */
    private record Source(String text, String origin, List<Statement> statements) {
        static Source parse(String text, String origin, boolean generationTags) {
            if (text.length() > MAX_SOURCE) {
                throw FormatException.of(
                        "%s: a template of %d characters is longer than the %d that are read",
                        origin, text.length(), MAX_SOURCE);
            }
            String normalized = Lexer.normalized(text);
            try {
                return new Source(
                        normalized,
                        origin,
                        Parser.parse(normalized, Syntax.ofChats(generationTags)));
            } catch (TemplateError e) {
                throw located(e, normalized, origin);
            } catch (StackOverflowError e) {
                throw located(
                        TemplateError.of(
                                Kind.LIMIT,
                                "the template is nested too deep for this thread's stack"),
                        normalized,
                        origin);
            }
        }
    }

    /**
     * A template of plain Jinja2, which knows no {@code generation} tag.
     *
     * @param source the template's text
     * @param origin where it comes from, for messages: a file, for example
     * @throws FormatException with origin, line and column if the text breaks the grammar
     */
    public static ChatTemplate of(String source, String origin) {
        return of(source, origin, false);
    }

    /**
     * A template, with the tag {@code generation} of transformers if asked, which marks what the
     * assistant wrote.
     *
     * @throws FormatException with origin, line and column if the text breaks the grammar
     */
    public static ChatTemplate of(String source, String origin, boolean generationTags) {
        Source parsed = Source.parse(source, origin, generationTags);
        return new ChatTemplate(parsed, null, Map.of(), Clock.system(ZoneId.systemDefault()));
    }

    /**
     * A checkpoint's template and the one it keeps for chats with tools; {@code generation} tags
     * are known.
     *
     * @param tools null if the checkpoint has one template for all chats
     * @throws FormatException with origin, line and column if a text breaks the grammar
     */
    public static ChatTemplate of(TemplateText main, @Nullable TemplateText tools) {
        Source withTools = tools == null ? null : Source.parse(tools.text(), tools.origin(), true);
        Source source = Source.parse(main.text(), main.origin(), true);
        return new ChatTemplate(source, withTools, Map.of(), Clock.system(ZoneId.systemDefault()));
    }

    /** The template's text; where it has another one for chats with tools, that one's behind it. */
    public String text() {
        return withTools == null ? source.text() : source.text() + "\n" + withTools.text();
    }

    /** This template with other special tokens in its context, such as {@code bos_token}. */
    public ChatTemplate withTokens(Map<String, ?> specialTokens) {
        Map<String, Object> converted = new LinkedHashMap<>();
        specialTokens.forEach((name, token) -> converted.put(name, Values.of(token, name)));
        return new ChatTemplate(source, withTools, Map.copyOf(converted), clock);
    }

    /**
     * This template with another clock for {@code strftime_now}, the date that some templates
     * print.
     */
    public ChatTemplate withClock(Clock other) {
        return new ChatTemplate(source, withTools, tokens, other);
    }

    /**
     * The prompt for a chat.
     *
     * @param messages the turns, each with {@code role} and {@code content}, of plain JSON values
     * @param tools descriptions of functions the model may call, or null
     * @param addGenerationPrompt whether to open the assistant's next turn
     * @param extra more variables for the template, such as {@code enable_thinking}; they win over
     *     tokens
     * @return the prompt, special tokens included
     * @throws FormatException if the template refuses the chat or fails on it; its cause is a
     *     {@link TemplateError}, of kind {@link Kind#RAISED} if the template itself refused
     */
    public String render(
            List<? extends Map<String, ?>> messages,
            @Nullable List<?> tools,
            boolean addGenerationPrompt,
            Map<String, ?> extra) {
        return renderMarked(messages, tools, addGenerationPrompt, extra).text();
    }

    /** {@link #render}, and where the assistant's own words are. */
    public Rendered renderMarked(
            List<? extends Map<String, ?>> messages,
            @Nullable List<?> tools,
            boolean addGenerationPrompt,
            Map<String, ?> extra) {
        Map<String, Object> variables = new LinkedHashMap<>(tokens);
        extra.forEach((name, value) -> variables.put(name, Values.of(value, name)));
        variables.put("messages", messages(messages));
        variables.put("tools", Values.of(tools, "tools"));
        variables.putIfAbsent("documents", None.NONE);
        variables.put("add_generation_prompt", addGenerationPrompt);
        return render(tools != null && withTools != null ? withTools : source, variables);
    }

    /** The text that the template makes of these variables alone; for tests of the language. */
    String renderVariables(Map<String, ?> variables) {
        Map<String, Object> converted = new LinkedHashMap<>();
        variables.forEach((name, value) -> converted.put(name, Values.of(value, name)));
        return render(source, converted).text();
    }

    private Rendered render(Source template, Map<String, Object> variables) {
        PythonRuntime runtime = new PythonRuntime(Syntax.ofChats(true));
        Scope context = new Scope(Globals.scope(runtime, clock));
        variables.forEach(context::set);
        Interpreter interpreter = new Interpreter(runtime);
        try {
            String text = interpreter.render(template.statements(), new Scope(context));
            return new Rendered(text, List.copyOf(interpreter.generated()));
        } catch (TemplateError e) {
            throw located(e, template.text(), template.origin());
        } catch (
                StackOverflowError
                        e) { // the budget bounds depth; a caller's own deep or small stack may
            // still end first
            TemplateError error =
                    TemplateError.of(
                            Kind.LIMIT, "the template is nested too deep for this thread's stack");
            throw located(error, template.text(), template.origin());
        }
    }

    /**
     * As transformers does: whatever name a message gives its reasoning, templates find it under
     * two of them.
     */
    private static List<Object> messages(List<? extends Map<String, ?>> messages) {
        List<Object> out = new ArrayList<>(messages.size());
        for (Map<String, ?> message : messages) {
            Map<Object, Object> converted =
                    Types.map(Values.of(message, "messages[" + out.size() + "]"));
            Object reasoning =
                    REASONING.stream()
                            .map(name -> converted.getOrDefault(name, None.NONE))
                            .filter(value -> value != None.NONE)
                            .findFirst()
                            .orElse(None.NONE);
            if (reasoning == None.NONE) {
                out.add(converted);
                continue;
            }
            Map<Object, Object> aliased = new LinkedHashMap<>();
            aliased.put("thinking", reasoning);
            aliased.putAll(converted);
            aliased.put("reasoning_content", reasoning);
            out.add(aliased);
        }
        return out;
    }

    static FormatException located(TemplateError error, String text, String origin) {
        String place = "";
        if (error.offset() >= 0) {
            int end = Math.min(error.offset(), text.length());
            String before = text.substring(0, end);
            long line = before.chars().filter(c -> c == '\n').count() + 1;
            int column = before.codePointCount(before.lastIndexOf('\n') + 1, end) + 1;
            place = ":" + line + ":" + column;
        }
        String what =
                error.kind() == Kind.RAISED
                        ? "the template refuses this chat: " + error.detail()
                        : error.kind().label() + ": " + error.detail();
        return new FormatException(origin + place + ": " + what.replaceAll("\\R", " "), error);
    }
}

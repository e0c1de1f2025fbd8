package org.qlora4j.template;

import java.time.Clock;
import java.time.ZoneId;
import java.util.List;
import java.util.Map;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.TemplateError.Kind;

/**
 * A template that makes a text of a record, in Jinja as lm-evaluation-harness sets it: nothing is
 * trimmed, the last line end is kept, what is not defined is an error, and there is a filter {@code
 * regex_replace}. Within the bounds of a {@link ChatTemplate}. Immutable; safe for several threads.
 */
public final class TextTemplate {
    private final String text;
    private final String origin;
    private final List<Statement> statements;

    private TextTemplate(String text, String origin, List<Statement> statements) {
        this.text = text;
        this.origin = origin;
        this.statements = statements;
    }

    /**
     * @param origin where it comes from, for messages
     * @throws FormatException with origin, line and column if the text breaks the grammar
     */
    public static TextTemplate of(String text, String origin) {
        String lines = Lexer.withLineFeeds(text);
        try {
            return new TextTemplate(lines, origin, Parser.parse(lines, Syntax.OF_TASKS));
        } catch (TemplateError e) {
            throw ChatTemplate.located(e, lines, origin);
        } catch (StackOverflowError e) {
            throw ChatTemplate.located(tooDeep(), lines, origin);
        }
    }

    /**
     * The text for one record.
     *
     * @param variables plain JSON values by name
     * @throws FormatException with origin, line and column if the template fails on them
     */
    public String render(Map<String, ?> variables) {
        PythonRuntime runtime = new PythonRuntime(Syntax.OF_TASKS);
        Clock clock = Clock.system(ZoneId.systemDefault());
        Scope context = new Scope(Globals.scope(runtime, clock));
        variables.forEach((name, value) -> context.set(name, Values.of(value, name)));
        try {
            return new Interpreter(runtime).render(statements, new Scope(context));
        } catch (TemplateError e) {
            throw ChatTemplate.located(e, text, origin);
        } catch (StackOverflowError e) {
            throw ChatTemplate.located(tooDeep(), text, origin);
        }
    }

    private static TemplateError tooDeep() {
        return TemplateError.of(
                Kind.LIMIT, "the template is nested too deep for this thread's stack");
    }
}

package org.qlora4j.template;

/**
 * Why a chat template could not be read or rendered. {@link ChatTemplate} hands it out as the cause
 * of a one-line {@link org.qlora4j.error.FormatException}; the kinds carry the names that Python's
 * Jinja2 gives them.
 */
public final class TemplateError extends RuntimeException {
    /** What went wrong, named as Jinja2 and Python name it. */
    public enum Kind {
        /** The template's text breaks the grammar. */
        SYNTAX("TemplateSyntaxError"),
        /** A filter or test that does not exist. */
        ASSERTION("TemplateAssertionError"),
        /** The template called {@code raise_exception}: it refuses this chat. */
        RAISED("TemplateError"),
        /** An undefined value was used for more than printing or testing. */
        UNDEFINED("UndefinedError"),
        /** An attribute that templates must not touch. */
        SECURITY("SecurityError"),
        /** Other mistakes found while rendering. */
        RUNTIME("TemplateRuntimeError"),
        /** An operation on values of the wrong type. */
        TYPE("TypeError"),
        /** An operation on a value out of its domain. */
        VALUE("ValueError"),
        /** Arguments that a filter cannot use. */
        FILTER_ARGUMENT("FilterArgumentError"),
        /** Division by zero. */
        ZERO_DIVISION("ZeroDivisionError"),
        /** A number or range too large. */
        OVERFLOW("OverflowError"),
        /** A name that a format string asks for and was not given. */
        KEY("KeyError"),
        /** A position that a format string asks for and was not given. */
        INDEX("IndexError"),
        /** A bound on work, text or nesting; Jinja2 has none of these. */
        LIMIT("LimitError");

        private final String label;

        Kind(String label) {
            this.label = label;
        }

        /** The name of the exception in Python, such as {@code UndefinedError}. */
        public String label() {
            return label;
        }
    }

    private final Kind kind;
    private final String detail;
    private final int offset;

    TemplateError(Kind kind, String detail, int offset) {
        super(
                kind.label() + ": " + detail,
                null,
                false,
                false); // the template's fault: our stack says nothing
        this.kind = kind;
        this.detail = detail;
        this.offset = offset;
    }

    /** An error whose place the evaluator fills in. */
    @SuppressWarnings("AnnotateFormatMethod") // the annotation is no dependency of ours
    static TemplateError of(Kind kind, String format, Object... args) {
        return new TemplateError(
                kind,
                args.length == 0 ? format : String.format(java.util.Locale.ROOT, format, args),
                -1);
    }

    static TemplateError type(String format, Object... args) {
        return of(Kind.TYPE, format, args);
    }

    static TemplateError value(String format, Object... args) {
        return of(Kind.VALUE, format, args);
    }

    /** This error at a place of the template, unless a deeper place is known already. */
    TemplateError at(int place) {
        return offset >= 0 ? this : new TemplateError(kind, detail, place);
    }

    public Kind kind() {
        return kind;
    }

    /** The message alone, as Jinja2 words it; for {@link Kind#RAISED} the template's own words. */
    public String detail() {
        return detail;
    }

    /** Index into the template's text, after its line ends were made {@code \n}; -1 if unknown. */
    int offset() {
        return offset;
    }
}

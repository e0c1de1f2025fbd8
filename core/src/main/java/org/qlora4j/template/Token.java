package org.qlora4j.template;

/**
 * One token of a template.
 *
 * @param type its class
 * @param text the operator, the name, or the text of data
 * @param value the value of a literal; else the text
 * @param at where it starts in the template
 */
record Token(Type type, String text, Object value, int at) {
    enum Type {
        DATA("template data / text"),
        VARIABLE_BEGIN("begin of print statement"),
        VARIABLE_END("end of print statement"),
        BLOCK_BEGIN("begin of statement block"),
        BLOCK_END("end of statement block"),
        NAME("name"),
        STRING("string"),
        INTEGER("integer"),
        FLOAT("float"),
        OPERATOR("operator"),
        END("end of template");

        final String label;

        Type(String label) {
            this.label = label;
        }
    }

    boolean isName(String name) {
        return type == Type.NAME && text.equals(name);
    }

    boolean isOperator(String operator) {
        return type == Type.OPERATOR && text.equals(operator);
    }

    /** As Jinja2 describes it in its messages. */
    String describe() {
        return type == Type.NAME || type == Type.OPERATOR ? text : type.label;
    }
}

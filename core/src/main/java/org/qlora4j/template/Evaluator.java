package org.qlora4j.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.template.TemplateError.Kind;

/**
 * Values of expressions. An error gets the place of the innermost expression that it comes from.
 */
final class Evaluator {
    private final PythonRuntime runtime;

    Evaluator(PythonRuntime runtime) {
        this.runtime = runtime;
    }

    /**
     * The expression's value.
     *
     * @throws TemplateError at the place of the expression
     */
    Object evaluate(Expr expr, Scope scope) {
        runtime.budget().enter();
        try {
            return value(expr, scope);
        } catch (TemplateError e) {
            throw e.at(expr.at());
        } finally {
            runtime.budget().leave();
        }
    }

    private Object value(Expr expr, Scope scope) {
        return switch (expr) {
            case Expr.Literal literal -> literal.value();
            case Expr.Name name -> scope.get(name.name());
            case Expr.Attribute attribute ->
                    runtime.access()
                            .attribute(evaluate(attribute.target(), scope), attribute.name());
            case Expr.Subscript subscript -> subscript(subscript, scope);
            case Expr.Call call -> call(call, Map.of(), scope);
            case Expr.Filter filter -> filter(filter, None.NONE, scope);
            case Expr.Test test -> test(test, scope);
            case Expr.Not not -> !runtime.truth(evaluate(not.operand(), scope));
            case Expr.Logic logic -> {
                Object left = evaluate(logic.left(), scope);
                yield runtime.truth(left) == logic.and() ? evaluate(logic.right(), scope) : left;
            }
            case Expr.Compare compare -> compare(compare, scope);
            case Expr.Binary binary -> binary(binary, scope);
            case Expr.Sign sign -> {
                Object operand = evaluate(sign.operand(), scope);
                yield sign.negative()
                        ? runtime.arithmetic().negate(operand)
                        : runtime.arithmetic().plus(operand);
            }
            case Expr.Concat concat -> concat(concat, scope);
            case Expr.Conditional conditional -> conditional(conditional, scope);
            case Expr.ListOf list -> all(list.items(), scope);
            case Expr.TupleOf tuple -> Tuple.copyOf(all(tuple.items(), scope));
            case Expr.DictOf dict -> dictionary(dict, scope);
            case Expr.Slice slice ->
                    throw TemplateError.of(Kind.SYNTAX, "a slice stands alone in its brackets");
            case Expr.NamespaceField field ->
                    throw TemplateError.of(Kind.SYNTAX, "a namespace's field is a target");
        };
    }

    private List<Object> all(List<Expr> items, Scope scope) {
        List<Object> values = new ArrayList<>(items.size());
        long held = 0;
        for (Expr item : items) {
            Object value = evaluate(item, scope);
            long bytes = LiveBytes.shallow(value);
            runtime.budget().hold(bytes);
            held += bytes;
            values.add(value);
        }
        runtime.budget().release(held);
        runtime.budget().make((long) Budget.ITEM_BYTES * values.size());
        return values;
    }

    private Object dictionary(Expr.DictOf dict, Scope scope) {
        Map<Object, Object> map = new LinkedHashMap<>();
        long held = 0;
        for (int i = 0; i < dict.keys().size(); i++) {
            Object key = Markup.plain(evaluate(dict.keys().get(i), scope));
            Object value = evaluate(dict.values().get(i), scope);
            long bytes = LiveBytes.shallow(key) + LiveBytes.shallow(value);
            runtime.budget().hold(bytes);
            held += bytes;
            Access.put(map, key, value, runtime.budget());
        }
        runtime.budget().release(held);
        return map;
    }

    private Object subscript(Expr.Subscript subscript, Scope scope) {
        Object target = evaluate(subscript.target(), scope);
        if (subscript.index() instanceof Expr.Slice slice) {
            return runtime.access()
                    .slice(
                            target,
                            bound(slice.start(), scope),
                            bound(slice.stop(), scope),
                            bound(slice.step(), scope));
        }
        return runtime.access().item(target, evaluate(subscript.index(), scope));
    }

    private Object bound(@Nullable Expr bound, Scope scope) {
        return bound == null ? None.NONE : evaluate(bound, scope);
    }

    /** A call, with more named arguments than are written (a call block's {@code caller}). */
    Object call(Expr.Call call, Map<String, Object> more, Scope scope) {
        Object target = evaluate(call.target(), scope);
        Arguments arguments = arguments(call.args(), more, scope);
        return switch (target) {
            case Invocable callable -> callable.call(arguments);
            case Undefined undefined -> throw undefined.error();
            default -> throw TemplateError.type("'%s' object is not callable", Types.name(target));
        };
    }

    private Arguments arguments(Expr.Args args, Map<String, Object> more, Scope scope) {
        if (args.isEmpty() && more.isEmpty()) {
            return Arguments.NONE;
        }
        List<Object> positional = all(args.positional(), scope);
        if (args.star() != null) {
            positional.addAll(Types.items(evaluate(args.star(), scope), runtime.budget()));
        }
        Map<String, Object> named = new LinkedHashMap<>();
        for (Expr.Keyword keyword : args.named()) {
            named.put(keyword.name(), evaluate(keyword.value(), scope));
        }
        named.putAll(more);
        if (args.doubleStar() != null) {
            Object given = evaluate(args.doubleStar(), scope);
            if (!(given instanceof Map)) {
                throw TemplateError.type(
                        "argument after ** must be a mapping, not %s", Types.name(given));
            }
            for (Map.Entry<Object, Object> entry : Types.map(given).entrySet()) {
                named.put(StringMethods.string("**", entry.getKey()), entry.getValue());
            }
        }
        return new Arguments(positional, named);
    }

    /**
     * The value of a chain of filters.
     *
     * @param input what is piped into a chain that has no target of its own
     */
    Object filter(Expr.Filter filter, Object input, Scope scope) {
        Object value =
                switch (filter.target()) {
                    case null -> input;
                    case Expr.Filter inner -> filterInside(inner, input, scope);
                    case Expr target -> evaluate(target, scope);
                };
        if (!filter.name().equals("default") && !filter.name().equals("d")) {
            runtime.used(value);
        }
        try {
            return Filters.apply(
                    runtime, filter.name(), value, arguments(filter.args(), Map.of(), scope));
        } catch (TemplateError e) {
            throw e.at(filter.at());
        }
    }

    private Object filterInside(Expr.Filter inner, Object input, Scope scope) {
        runtime.budget().enter();
        Object value = filter(inner, input, scope);
        runtime.budget().leave();
        return value;
    }

    private Object test(Expr.Test test, Scope scope) {
        Object value = evaluate(test.target(), scope);
        return Predicates.test(
                runtime, test.name(), value, arguments(test.args(), Map.of(), scope));
    }

    private Object compare(Expr.Compare compare, Scope scope) {
        Object left = runtime.used(evaluate(compare.first(), scope));
        for (Expr.Comparand comparand : compare.rest()) {
            Object right = runtime.used(evaluate(comparand.value(), scope));
            boolean holds =
                    switch (comparand.operator()) {
                        case "==" -> runtime.comparison().equal(left, right);
                        case "!=" -> !runtime.comparison().equal(left, right);
                        case "in" -> runtime.comparison().contains(right, left);
                        case "not in" -> !runtime.comparison().contains(right, left);
                        default -> runtime.comparison().ordered(comparand.operator(), left, right);
                    };
            if (!holds) {
                return false;
            }
            left = right;
        }
        return true;
    }

    private Object binary(Expr.Binary binary, Scope scope) {
        Object left = evaluate(binary.left(), scope);
        return runtime.arithmetic()
                .binary(binary.operator(), left, evaluate(binary.right(), scope));
    }

    private Object concat(Expr.Concat concat, Scope scope) {
        Budget.Text out = runtime.budget().newText();
        for (Expr part : concat.parts()) {
            out.append(runtime.printer().text(runtime.used(evaluate(part, scope))));
        }
        return out.toString();
    }

    private Object conditional(Expr.Conditional conditional, Scope scope) {
        if (runtime.truth(evaluate(conditional.test(), scope))) {
            return evaluate(conditional.then(), scope);
        }
        if (conditional.otherwise() == null) {
            return Undefined.because(
                    "the inline if-expression evaluated to false and no else section was defined.");
        }
        return evaluate(conditional.otherwise(), scope);
    }

    /** Writes a value to a target: a name, a namespace's field, or several of them. */
    void assign(Expr target, Object value, Scope scope) {
        switch (target) {
            case Expr.Name name -> scope.set(name.name(), value);
            case Expr.NamespaceField field -> {
                if (!(scope.get(field.name()) instanceof Namespace namespace)) {
                    throw new TemplateError(
                            Kind.RUNTIME,
                            "cannot assign attribute on non-namespace object",
                            field.at());
                }
                namespace.set(field.field(), value);
            }
            case Expr.TupleOf tuple -> unpack(tuple, value, scope);
            default ->
                    throw new IllegalStateException("the parser admits no such target: " + target);
        }
    }

    private void unpack(Expr.TupleOf targets, Object value, Scope scope) {
        int wanted = targets.items().size();
        if (!Types.isIterable(value)) {
            throw TemplateError.type("cannot unpack non-iterable %s object", Types.name(value))
                    .at(targets.at());
        }
        List<Object> values = new ArrayList<>();
        Iterator<Object> items = Types.iterator(value);
        while (items.hasNext() && values.size() <= wanted) {
            values.add(items.next());
        }
        if (values.size() > wanted) {
            throw TemplateError.value("too many values to unpack (expected %d)", wanted)
                    .at(targets.at());
        }
        if (values.size() < wanted) {
            throw TemplateError.value(
                            "not enough values to unpack (expected %d, got %d)",
                            wanted, values.size())
                    .at(targets.at());
        }
        for (int i = 0; i < wanted; i++) {
            assign(targets.items().get(i), values.get(i), scope);
        }
    }
}

package org.qlora4j.template;

import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** The operators {@code == < in} and sorting, with Python's rules. */
final class Comparison {
    private final Budget budget;

    Comparison(Budget budget) {
        this.budget = budget;
    }

    boolean equal(Object left, Object right) {
        return equal(Markup.plain(left), Markup.plain(right), 0);
    }

    @SuppressWarnings("ReferenceEquality") // a value equals itself, in Python too, but for NaN
    private boolean equal(Object left, Object right, int depth) {
        budget.valueDepth(depth);
        if (left instanceof String l && right instanceof String r) {
            budget.work(Math.min(l.length(), r.length()));
            return l.equals(r);
        }
        budget.work(1);
        if (left == right) {
            return !(left instanceof Double d && d.isNaN());
        }
        if (Types.isNumber(left) && Types.isNumber(right)) {
            Integer order = Numbers.compare(left, right);
            return order != null && order == 0;
        }
        if (left instanceof List<?> l && right instanceof List<?> r) {
            return (l instanceof Tuple) == (r instanceof Tuple)
                    && (l instanceof Range) == (r instanceof Range)
                    && l.size() == r.size()
                    && sameItems(l.iterator(), r.iterator(), depth);
        }
        if (left instanceof Map<?, ?> l && right instanceof Map<?, ?> r) {
            return l.size() == r.size() && sameEntries(Types.map(l), Types.map(r), depth);
        }
        return left instanceof Undefined && right instanceof Undefined;
    }

    private boolean sameItems(Iterator<?> left, Iterator<?> right, int depth) {
        while (left.hasNext()) {
            if (!equal(left.next(), right.next(), depth + 1)) {
                return false;
            }
        }
        return true;
    }

    private boolean sameEntries(Map<Object, Object> left, Map<Object, Object> right, int depth) {
        for (Map.Entry<Object, Object> entry : left.entrySet()) {
            Object other = right.get(entry.getKey());
            if (other == null || !equal(entry.getValue(), other, depth + 1)) {
                return false;
            }
        }
        return true;
    }

    /** Whether {@code left operator right} holds, for an operator among {@code < <= > >=}. */
    boolean ordered(String operator, Object left, Object right) {
        return ordered(operator, Markup.plain(left), Markup.plain(right), 0);
    }

    private boolean ordered(String operator, Object left, Object right, int depth) {
        budget.valueDepth(depth);
        budget.work(1);
        if (Types.isNumber(left) && Types.isNumber(right)) {
            Integer order = Numbers.compare(left, right);
            return order != null && holds(operator, order);
        }
        if (left instanceof String l && right instanceof String r) {
            budget.work(Math.min(l.length(), r.length()));
            return holds(operator, PyText.compare(l, r));
        }
        boolean lists =
                left instanceof List
                        && right instanceof List
                        && (left instanceof Tuple) == (right instanceof Tuple)
                        && !(left instanceof Range)
                        && !(right instanceof Range);
        if (lists) {
            return orderedItems(operator, Types.list(left), Types.list(right), depth);
        }
        if (left instanceof Undefined undefined) {
            throw undefined.error();
        }
        if (right instanceof Undefined undefined) {
            throw undefined.error();
        }
        throw TemplateError.type(
                "'%s' not supported between instances of '%s' and '%s'",
                operator, Types.name(left), Types.name(right));
    }

    private boolean orderedItems(
            String operator, List<Object> left, List<Object> right, int depth) {
        int shared = Math.min(left.size(), right.size());
        for (int i = 0; i < shared; i++) {
            if (!equal(left.get(i), right.get(i), depth + 1)) {
                return ordered(operator, left.get(i), right.get(i), depth + 1);
            }
        }
        return holds(operator, Integer.compare(left.size(), right.size()));
    }

    private static boolean holds(String operator, int order) {
        return switch (operator) {
            case "<" -> order < 0;
            case "<=" -> order <= 0;
            case ">" -> order > 0;
            case ">=" -> order >= 0;
            default -> throw new IllegalStateException(operator);
        };
    }

    /** Whether {@code item in container} holds. */
    boolean contains(Object container, Object item) {
        budget.workOn(container);
        return switch (Markup.plain(container)) {
            case String text -> {
                if (!(Markup.plain(item) instanceof String part)) {
                    throw TemplateError.type(
                            "'in <string>' requires string as left operand, not %s",
                            Types.name(item));
                }
                yield PyText.indexOf(text, part) >= 0;
            }
            case Map<?, ?> map -> Access.entry(Types.map(map), item, budget) != null;
            case Object other when Types.isIterable(other) -> {
                Iterator<Object> items = Types.iterator(other);
                boolean found = false;
                while (!found && items.hasNext()) {
                    found = equal(items.next(), item);
                }
                yield found;
            }
            default ->
                    throw TemplateError.type(
                            "argument of type '%s' is not iterable", Types.name(container));
        };
    }

    /** Sorts in place; equal keys keep their order, in reverse too. */
    <T> void sort(List<T> items, Function<? super T, ?> key, boolean reverse) {
        budget.work(items.size());
        try {
            items.sort((a, b) -> {
                Object left = reverse ? key.apply(b) : key.apply(a);
                Object right = reverse ? key.apply(a) : key.apply(b);
                return ordered("<", left, right) ? -1 : ordered("<", right, left) ? 1 : 0;
            });
        } catch (IllegalArgumentException e) { // what Java's sort says of NaN
            throw TemplateError.value("these values cannot be put in an order");
        }
    }
}

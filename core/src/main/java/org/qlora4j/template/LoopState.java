package org.qlora4j.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The {@code loop} variable: where a loop is. Items are fetched one at a time and at most one
 * ahead, so that a loop's filter sees what the body did before, as in Jinja2.
 */
final class LoopState implements Invocable {
    private Iterator<Object> items;
    private final @Nullable Function<Object, Object> recurse;
    private final int depth0;
    private final Comparison comparison;
    private @Nullable Long length;
    private long index0 = -1;
    private @Nullable Object before;
    private @Nullable Object current;
    private @Nullable Object after;
    private @Nullable List<Object> lastChanged;

    /**
     * A loop before its first item.
     *
     * @param length number of items where that is known beforehand
     * @param recurse renders the body for nested items, in a recursive loop
     */
    LoopState(
            Iterator<Object> items,
            @Nullable Long length,
            @Nullable Function<Object, Object> recurse,
            int depth0,
            Comparison comparison) {
        this.items = items;
        this.length = length;
        this.recurse = recurse;
        this.depth0 = depth0;
        this.comparison = comparison;
    }

    /** The next item, or null at the end. */
    @Nullable Object advance() {
        Object next = peek();
        after = null;
        if (next != null) {
            index0++;
            before = current;
            current = next;
        }
        return next;
    }

    private @Nullable Object peek() {
        if (after == null && items.hasNext()) {
            after = items.next();
        }
        return after;
    }

    long length() {
        if (length == null) {
            List<Object> rest = new ArrayList<>();
            items.forEachRemaining(rest::add);
            items = rest.iterator();
            length = index0 + 1 + (after == null ? 0 : 1) + rest.size();
        }
        return length;
    }

    @Override
    public Object field(String name) {
        return switch (name) {
            case "index" -> index0 + 1;
            case "index0" -> index0;
            case "revindex" -> length() - index0;
            case "revindex0" -> length() - index0 - 1;
            case "first" -> index0 == 0;
            case "last" -> peek() == null;
            case "length" -> length();
            case "depth" -> (long) depth0 + 1;
            case "depth0" -> (long) depth0;
            case "previtem" ->
                    before == null ? Undefined.because("there is no previous item") : before;
            case "nextitem" -> {
                Object next = peek();
                yield next == null ? Undefined.because("there is no next item") : next;
            }
            case "cycle" -> (Invocable) this::cycle;
            case "changed" -> (Invocable) this::changed;
            default ->
                    Undefined.because(
                            "'jinja2.runtime.LoopContext object' has no attribute "
                                    + Printer.quote(name));
        };
    }

    private Object cycle(Arguments arguments) {
        List<Object> values = arguments.positional();
        if (values.isEmpty()) {
            throw TemplateError.type("no items for cycling given");
        }
        return values.get((int) (index0 % values.size()));
    }

    private Object changed(Arguments arguments) {
        boolean same = lastChanged != null && comparison.equal(lastChanged, arguments.positional());
        lastChanged = arguments.positional();
        return !same;
    }

    @Override
    public Object call(Arguments arguments) {
        if (recurse == null) {
            throw TemplateError.type(
                    "The loop must have the 'recursive' marker to be called recursively.");
        }
        return recurse.apply(arguments.bind("loop", "iterable", Arguments.REQUIRED)[0]);
    }

    @Override
    public String type() {
        return "LoopContext";
    }
}

package org.qlora4j.template;

import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.template.TemplateError.Kind;

/** The functions that every chat template can call. */
final class Globals {
    private Globals() {}

    /** A scope with all of them. */
    static Scope scope(PythonRuntime runtime, Clock clock) {
        Scope scope = new Scope(null);
        scope.set("range", (Invocable) Globals::range);
        scope.set("dict", (Invocable) arguments -> dict(runtime, arguments));
        scope.set("namespace", (Invocable) arguments -> namespace(runtime, arguments));
        scope.set("cycler", (Invocable) Globals::cycler);
        scope.set("joiner", (Invocable) Globals::joiner);
        scope.set("raise_exception", (Invocable) arguments -> raise(runtime, arguments));
        scope.set("strftime_now", (Invocable) arguments -> now(arguments, clock));
        return scope;
    }

    private static Object range(Arguments arguments) {
        List<Object> given = arguments.positional();
        if (given.isEmpty() || given.size() > 3 || !arguments.named().isEmpty()) {
            throw TemplateError.type("range expected 1 to 3 arguments, got %d", given.size());
        }
        long first = Numbers.index(given.get(0));
        long start = given.size() == 1 ? 0 : first;
        long stop = given.size() == 1 ? first : Numbers.index(given.get(1));
        long step = given.size() == 3 ? Numbers.index(given.get(2)) : 1;
        if (step == 0) {
            throw TemplateError.value("range() arg 3 must not be zero");
        }
        boolean huge = Math.abs((double) stop - start) > 1e15 || step == Long.MIN_VALUE;
        if (huge || Range.size(start, stop, step) > Budget.MAX_RANGE) {
            throw TemplateError.of(
                    Kind.OVERFLOW,
                    "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).",
                    Budget.MAX_RANGE);
        }
        return new Range(start, stop, step);
    }

    private static Map<Object, Object> dict(PythonRuntime runtime, Arguments arguments) {
        Map<Object, Object> map = new LinkedHashMap<>();
        if (arguments.positional().size() > 1) {
            throw TemplateError.type(
                    "dict expected at most 1 argument, got %d", arguments.positional().size());
        }
        for (Object given : arguments.positional()) {
            if (given instanceof Map) {
                map.putAll(Types.map(given));
                continue;
            }
            for (Object pair : Types.items(given, runtime.budget())) {
                List<Object> parts = Types.items(pair, runtime.budget());
                if (parts.size() != 2) {
                    throw TemplateError.value(
                            "dictionary update sequence element has length %d; 2 is required",
                            parts.size());
                }
                Access.put(map, Markup.plain(parts.get(0)), parts.get(1), runtime.budget());
            }
        }
        map.putAll(arguments.named());
        return map;
    }

    private static Object namespace(PythonRuntime runtime, Arguments arguments) {
        Namespace namespace = new Namespace();
        dict(runtime, arguments)
                .forEach((name, value) ->
                        namespace.set(StringMethods.string("namespace", name), value));
        return namespace;
    }

    private static Object cycler(Arguments arguments) {
        List<Object> items = arguments.positional();
        if (items.isEmpty()) {
            throw TemplateError.of(Kind.RUNTIME, "at least one item has to be provided");
        }
        Namespace cycler = new Namespace();
        int[] position = {0};
        cycler.set("current", items.get(0));
        cycler.set(
                "next",
                (Invocable)
                        none -> turn(cycler, items, position, (position[0] + 1) % items.size()));
        cycler.set("reset", (Invocable) none -> turn(cycler, items, position, 0));
        return cycler;
    }

    /** Moves a cycler to a position and returns where it was. */
    private static Object turn(Namespace cycler, List<Object> items, int[] position, int next) {
        Object before = items.get(position[0]);
        position[0] = next;
        cycler.set("current", items.get(next));
        return before;
    }

    private static Object joiner(Arguments arguments) {
        Object separator = arguments.bind("joiner", "sep", ", ")[0];
        boolean[] used = {false};
        return (Invocable)
                none -> {
                    Object text = used[0] ? separator : "";
                    used[0] = true;
                    return text;
                };
    }

    private static Object raise(PythonRuntime runtime, Arguments arguments) {
        Object message = arguments.bind("raise_exception", "message", Arguments.REQUIRED)[0];
        throw new TemplateError(Kind.RAISED, runtime.printer().text(message), -1);
    }

    private static Object now(Arguments arguments, Clock clock) {
        Object format = arguments.bind("strftime_now", "format", Arguments.REQUIRED)[0];
        return Strftime.format(StringMethods.string("strftime", format), clock);
    }
}

package org.qlora4j.template;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;
import org.qlora4j.template.Statement.MacroBody;
import org.qlora4j.template.Statement.Parameter;

/** Runs the statements of a template once: one instance renders one prompt. */
final class Interpreter {
    /** How a run of statements ended. */
    private enum End {
        NORMAL,
        BREAK,
        CONTINUE
    }

    private final PythonRuntime runtime;
    private final Evaluator evaluator;
    private final Budget.Text result;
    private final List<ChatTemplate.Span> generated = new ArrayList<>();
    private final Deque<Scope> active = new ArrayDeque<>();
    private Budget.Text out;

    Interpreter(PythonRuntime runtime) {
        this.runtime = runtime;
        this.evaluator = new Evaluator(runtime);
        this.result = runtime.budget().newText();
        this.out = result;
    }

    /** The text that the template makes, in a scope that holds what it is given. */
    String render(List<Statement> template, Scope scope) {
        Scope given = scope.parent() == null ? scope : scope.parent();
        runtime.budget().measureLive(() -> LiveBytes.of(active, given, runtime.budget()));
        run(template, scope);
        return result.toString();
    }

    /** The parts of the text inside {@code generation} blocks, in order. */
    List<ChatTemplate.Span> generated() {
        return generated;
    }

    private End run(List<Statement> statements, Scope scope) {
        active.push(scope);
        try {
            return runAll(statements, scope);
        } finally {
            active.pop();
        }
    }

    private End runAll(List<Statement> statements, Scope scope) {
        for (Statement statement : statements) {
            runtime.budget().enter();
            End end;
            try {
                end = run(statement, scope);
            } catch (TemplateError e) {
                throw e.at(statement.at());
            } finally {
                runtime.budget().leave();
            }
            if (end != End.NORMAL) {
                return end;
            }
        }
        return End.NORMAL;
    }

    private End run(Statement statement, Scope scope) {
        switch (statement) {
            case Statement.Text text -> out.append(text.text());
            case Statement.Output output ->
                    out.append(
                            runtime.printer()
                                    .text(runtime.used(evaluator.evaluate(output.value(), scope))));
            case Statement.If conditional -> {
                return runIf(conditional, scope);
            }
            case Statement.For loop -> {
                return runLoop(
                        loop, runtime.used(evaluator.evaluate(loop.items(), scope)), 0, scope);
            }
            case Statement.Assign assign ->
                    evaluator.assign(
                            assign.target(), evaluator.evaluate(assign.value(), scope), scope);
            case Statement.AssignBlock block -> {
                return assignBlock(block, scope);
            }
            case Statement.With with -> {
                return runWith(with, scope);
            }
            case Statement.MacroDefinition macro ->
                    scope.set(macro.macro().name(), new Macro(macro.macro(), scope));
            case Statement.CallBlock block -> {
                Map<String, Object> caller = Map.of("caller", new Macro(block.body(), scope));
                out.append(runtime.printer().text(evaluator.call(block.call(), caller, scope)));
            }
            case Statement.FilterBlock block -> {
                return filterBlock(block, scope);
            }
            case Statement.Generation generation -> runGeneration(generation, scope);
            case Statement.Break b -> {
                return End.BREAK;
            }
            case Statement.Continue c -> {
                return End.CONTINUE;
            }
        }
        return End.NORMAL;
    }

    private End runIf(Statement.If conditional, Scope scope) {
        for (Statement.Branch branch : conditional.branches()) {
            if (runtime.truth(evaluator.evaluate(branch.test(), scope))) {
                return run(branch.body(), scope);
            }
        }
        return run(conditional.otherwise(), scope);
    }

    private End runLoop(Statement.For loop, Object items, int depth0, Scope scope) {
        Iterator<Object> all = Types.iterator(items);
        Expr test = loop.test();
        Iterator<Object> passing =
                test == null ? all : new Passing(all, loop.target(), test, scope);
        LoopState state =
                new LoopState(
                        passing,
                        test == null ? Types.length(items) : null,
                        loop.recursive()
                                ? nested -> captureLoop(loop, nested, depth0 + 1, scope)
                                : null,
                        depth0,
                        runtime.comparison());
        boolean any = false;
        for (Object item = state.advance(); item != null; item = state.advance()) {
            any = true;
            runtime.budget().work(1);
            Scope body = new Scope(scope);
            body.set("loop", state);
            evaluator.assign(loop.target(), item, body);
            if (run(loop.body(), body) == End.BREAK) {
                return End.NORMAL;
            }
        }
        return any ? End.NORMAL : run(loop.otherwise(), new Scope(scope));
    }

    private Object captureLoop(Statement.For loop, Object nested, int depth0, Scope scope) {
        return capture(() -> {
            runtime.budget().enter();
            runLoop(loop, nested, depth0, scope);
            runtime.budget().leave();
        });
    }

    /** Runs a body with its output kept apart, and returns that. */
    private String capture(Runnable body) {
        Budget.Text around = out;
        out = runtime.budget().newText();
        try {
            body.run();
            return out.toString();
        } finally {
            out = around;
        }
    }

    private End assignBlock(Statement.AssignBlock block, Scope scope) {
        End[] end = new End[1];
        String text = capture(() -> end[0] = run(block.body(), new Scope(scope)));
        if (end[0] == End.NORMAL) {
            Expr.Filter filter = block.filter();
            Object value = filter == null ? text : evaluator.filter(filter, text, scope);
            evaluator.assign(block.target(), value, scope);
        }
        return end[0];
    }

    private End filterBlock(Statement.FilterBlock block, Scope scope) {
        End[] end = new End[1];
        String text = capture(() -> end[0] = run(block.body(), new Scope(scope)));
        if (end[0] == End.NORMAL) {
            out.append(runtime.printer().text(evaluator.filter(block.filter(), text, scope)));
        }
        return end[0];
    }

    private End runWith(Statement.With with, Scope scope) {
        Scope inner = new Scope(scope);
        for (int i = 0; i < with.targets().size(); i++) {
            evaluator.assign(
                    with.targets().get(i), evaluator.evaluate(with.values().get(i), scope), inner);
        }
        return run(with.body(), inner);
    }

    private void runGeneration(Statement.Generation generation, Scope scope) {
        String text = capture(() -> run(generation.body(), new Scope(scope)));
        if (out == result) { // inside a macro or block nobody knows yet where the text will stand
            generated.add(new ChatTemplate.Span(out.length(), out.length() + text.length()));
        }
        out.append(text);
    }

    /** The items of a loop that pass its filter, tested one at a time. */
    private final class Passing implements Iterator<Object> {
        private final Iterator<Object> all;
        private final Expr target;
        private final Expr test;
        private final Scope scope;
        private @Nullable Object next;

        Passing(Iterator<Object> all, Expr target, Expr test, Scope scope) {
            this.all = all;
            this.target = target;
            this.test = test;
            this.scope = scope;
        }

        @Override
        public boolean hasNext() {
            while (next == null && all.hasNext()) {
                Object item = all.next();
                runtime.budget().work(1);
                Scope tested = new Scope(scope);
                evaluator.assign(target, item, tested);
                next = runtime.truth(evaluator.evaluate(test, tested)) ? item : null;
            }
            return next != null;
        }

        @Override
        public Object next() {
            if (!hasNext() || next == null) {
                throw new NoSuchElementException();
            }
            Object item = next;
            next = null;
            return item;
        }
    }

    /** A macro, or a call block's body, with the scope it was defined in. */
    private final class Macro implements Invocable {
        private final MacroBody macro;
        private final Scope defined;

        Macro(MacroBody macro, Scope defined) {
            this.macro = macro;
            this.defined = defined;
        }

        @Override
        public Object call(Arguments arguments) {
            Scope scope = new Scope(defined);
            Map<String, Object> named = new LinkedHashMap<>(arguments.named());
            bindParameters(arguments.positional(), named, scope);
            if (macro.caller() && !declares("caller")) {
                Object caller = named.remove("caller");
                scope.set(
                        "caller", caller == null ? Undefined.because("No caller defined") : caller);
            }
            if (macro.kwargs()) {
                scope.set("kwargs", new LinkedHashMap<Object, Object>(named));
            } else if (!named.isEmpty()) {
                String name = named.keySet().iterator().next();
                throw named.containsKey("caller")
                        ? TemplateError.type(
                                "macro %s was invoked with two values for the special caller argument. This is most"
                                        + " likely a bug.",
                                Printer.quote(macro.name()))
                        : TemplateError.type(
                                "macro %s takes no keyword argument %s",
                                Printer.quote(macro.name()), Printer.quote(name));
            }
            return capture(() -> run(macro.body(), scope));
        }

        private void bindParameters(
                List<Object> positional, Map<String, Object> named, Scope scope) {
            List<Parameter> parameters = macro.parameters();
            for (int i = 0; i < parameters.size(); i++) {
                Parameter parameter = parameters.get(i);
                Object value =
                        i < positional.size() ? positional.get(i) : named.remove(parameter.name());
                if (value == null) {
                    value =
                            parameter.fallback() != null
                                    ? evaluator.evaluate(parameter.fallback(), scope)
                                    : Undefined.because(
                                            "parameter "
                                                    + Printer.quote(parameter.name())
                                                    + " was not provided");
                }
                scope.set(parameter.name(), value);
            }
            int extra = Math.min(parameters.size(), positional.size());
            if (macro.varargs()) {
                scope.set("varargs", Tuple.copyOf(positional.subList(extra, positional.size())));
            } else if (positional.size() > parameters.size()) {
                throw TemplateError.type(
                        "macro %s takes not more than %d argument(s)",
                        Printer.quote(macro.name()), parameters.size());
            }
        }

        private boolean declares(String name) {
            return macro.parameters().stream().anyMatch(parameter -> parameter.name().equals(name));
        }

        @Override
        public Object field(String name) {
            return name.equals("name") ? macro.name() : Invocable.super.field(name);
        }

        @Override
        public String type() {
            return "Macro";
        }
    }
}

package org.qlora4j.template;

import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Measures what the variables of a rendering hold, about, in bytes. */
final class LiveBytes {
    private final Budget budget;
    private final Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Deque<Object> open = new ArrayDeque<>();

    private LiveBytes(Budget budget) {
        this.budget = budget;
    }

    /**
     * Bytes that some scopes hold, those around them included.
     *
     * @param given what the caller gave, which is not counted
     */
    static long of(Collection<Scope> scopes, Scope given, Budget budget) {
        LiveBytes live = new LiveBytes(budget);
        live.add(given);
        live.visit();
        live.open.addAll(scopes);
        return live.visit();
    }

    /** Bytes of a value without those inside it. */
    static long shallow(Object value) {
        return switch (value) {
            case String text -> Budget.ITEM_BYTES + 2L * text.length();
            case Markup markup -> Budget.ITEM_BYTES + 2L * markup.text().length();
            case Range range -> Budget.ITEM_BYTES;
            case List<?> list -> Budget.ITEM_BYTES + 8L * list.size();
            case Map<?, ?> map -> Budget.ITEM_BYTES + 64L * map.size();
            case Lazy lazy -> Budget.ITEM_BYTES + 8L * lazy.all().size();
            case java.math.BigInteger n -> Budget.ITEM_BYTES + n.bitLength() / 8;
            default -> Budget.ITEM_BYTES;
        };
    }

    private void add(Object value) {
        if (!(value instanceof Boolean) && seen.add(value)) {
            open.push(value);
        }
    }

    private long visit() {
        long bytes = 0;
        while (!open.isEmpty()) {
            Object value = open.pop();
            budget.work(16);
            bytes += shallow(value);
            switch (value) {
                case Scope scope -> {
                    scope.variables().values().forEach(this::add);
                    if (scope.parent() != null) {
                        add(scope.parent());
                    }
                }
                case Range range -> {}
                case Collection<?> items -> items.forEach(this::add);
                case Map<?, ?> map -> {
                    map.keySet().forEach(this::add);
                    map.values().forEach(this::add);
                }
                case Namespace namespace -> add(namespace.fields());
                case DictView view -> add(view.items());
                case Lazy lazy -> add(lazy.all());
                default -> {}
            }
        }
        return bytes;
    }
}

package org.qlora4j.lora;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.LinearUpdate;
import org.qlora4j.autograd.RowUpdates;

/**
 * Adapters on a model for the rows of one batch, each row with its own. {@link #close} takes them
 * off. Meanwhile no other adapter may be attached.
 */
public final class AdapterRows implements AutoCloseable {
    private final @Nullable LoraAdapter whole; // of all rows
    private final List<LinearLayer> mixed;

    private AdapterRows(@Nullable LoraAdapter whole, List<LinearLayer> mixed) {
        this.whole = whole;
        this.mixed = mixed;
    }

    /** Whether rows with these two adapters can be computed together; null is none. */
    public static boolean share(@Nullable LoraAdapter one, @Nullable LoraAdapter other) {
        return one == other
                || ((one == null || !one.bringsModules())
                        && (other == null || !other.bringsModules()));
    }

    /**
     * Lets the model compute each row of the next batches with its adapter.
     *
     * @param linears the linear layers of the model but its head
     * @param rows by row, null for none; any two of them {@linkplain #share share}
     */
    public static AdapterRows attach(List<LinearLayer> linears, List<@Nullable LoraAdapter> rows) {
        LoraAdapter first = rows.getFirst();
        if (rows.stream().allMatch(each -> each == first)) {
            if (first != null) {
                first.attach();
            }
            return new AdapterRows(first, List.of());
        }
        List<LinearLayer> changed = new ArrayList<>();
        for (LinearLayer linear : linears) {
            List<RowUpdates.Part> parts = parts(linear, rows);
            if (!parts.isEmpty()) {
                linear.setRowUpdates(new RowUpdates(parts));
                changed.add(linear);
            }
        }
        return new AdapterRows(null, changed);
    }

    /** Rows behind each other with the same adapter make one part. */
    private static List<RowUpdates.Part> parts(
            LinearLayer linear, List<@Nullable LoraAdapter> rows) {
        List<RowUpdates.Part> parts = new ArrayList<>();
        for (int from = 0; from < rows.size(); ) {
            LoraAdapter adapter = rows.get(from);
            int to = from + 1;
            while (to < rows.size() && rows.get(to) == adapter) {
                to++;
            }
            LinearUpdate update = adapter == null ? null : adapter.updates().get(linear);
            if (update != null) {
                parts.add(new RowUpdates.Part(from, to - from, update));
            }
            from = to;
        }
        return parts;
    }

    @Override
    public void close() {
        if (whole != null) {
            whole.detach();
        }
        mixed.forEach(linear -> linear.setRowUpdates(null));
    }
}

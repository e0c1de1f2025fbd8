package org.qlora4j.error;

import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;

/**
 * A stage of long work before a result, such as reading data or quantizing weights. It tells a
 * listener how far it is, so that something moves on the screen. The listener is bound to the work
 * of a thread and what it hands on; where nobody listens a stage costs nothing.
 */
public final class Preparation implements AutoCloseable {
    private static final ScopedValue<Listener> LISTENER = ScopedValue.newInstance();

    private final @Nullable Listener listener;
    private final String work;
    private final long all;
    private final String unit;

    /** Is told of stages, on the threads that work. */
    public interface Listener {
        /**
         * A stage has come so far.
         *
         * @param work what is done, e.g. {@code reading faq.csv}
         * @param done units that are behind it
         * @param all units there are; 0 where that is not known
         * @param unit what is counted
         */
        void at(String work, long done, long all, String unit);

        /** A stage is over. */
        void over();
    }

    private Preparation(@Nullable Listener listener, String work, long all, String unit) {
        this.listener = listener;
        this.work = work;
        this.all = all;
        this.unit = unit;
    }

    private static @Nullable Listener bound() {
        return LISTENER.isBound() ? LISTENER.get() : null;
    }

    /** Begins a stage; the caller closes it. */
    public static Preparation begin(String work, long all, String unit) {
        return new Preparation(bound(), work, all, unit);
    }

    /** Says that so many units are done. */
    public void at(long done) {
        if (listener != null) {
            listener.at(work, done, all, unit);
        }
    }

    @Override
    public void close() {
        if (listener != null) {
            listener.over();
        }
    }

    /** Does the work of a thread, whose stages the listener is told of. */
    public static <T extends @Nullable Object, X extends Throwable> T watched(
            Listener listener, ScopedValue.CallableOp<? extends T, X> work) throws X {
        return ScopedValue.where(LISTENER, listener).call(work);
    }

    /** The work for another thread, with the listener of this one. */
    public static <T extends @Nullable Object> Callable<T> handedOn(Callable<T> work) {
        Listener listener = bound();
        return listener == null
                ? work
                : () -> Preparation.<T, Exception>watched(listener, work::call);
    }
}

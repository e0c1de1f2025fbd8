package org.qlora4j.tensor;

import java.util.ArrayList;
import org.jspecify.annotations.Nullable;

/**
 * Says who frees tensors: a tensor belongs to the scope that was innermost on its thread when it
 * was made, and dies when that scope closes, unless it was {@linkplain #promote promoted} to the
 * scope around or {@linkplain #release released} to an owner that closes it by hand (a tape node, a
 * layer).
 *
 * <pre>{@code
 * try (TensorScope scope = TensorScope.open()) {
 *     Tensor product = a.mm(b);              // a temporary
 *     return scope.promote(product.plus(c)); // the caller's
 * }
 * }</pre>
 */
public final class TensorScope implements AutoCloseable {
    private static final ThreadLocal<@Nullable TensorScope> CURRENT = new ThreadLocal<>();

    private final @Nullable TensorScope outer;
    private final Thread thread;
    private final boolean safetyNet;
    private final ArrayList<@Nullable Tensor> owned = new ArrayList<>();
    private boolean closed;

    private TensorScope(boolean safetyNet) {
        this.outer = CURRENT.get();
        this.thread = Thread.currentThread();
        this.safetyNet = safetyNet;
    }

    /** Opens a scope inside this thread's current one. Scopes close in reverse order. */
    public static TensorScope open() {
        return push(new TensorScope(false));
    }

    /**
     * Opens a scope that should have nothing left to free; what it frees is counted in {@link
     * NativeMemory}.
     */
    public static TensorScope openSafetyNet() {
        return push(new TensorScope(true));
    }

    private static TensorScope push(TensorScope scope) {
        CURRENT.set(scope);
        return scope;
    }

    static TensorScope current() {
        TensorScope scope = CURRENT.get();
        if (scope == null) {
            throw new IllegalStateException(
                    "no TensorScope is open on thread " + Thread.currentThread().getName());
        }
        return scope;
    }

    /** Runs work of somebody else, for which no scope of this thread is open. */
    static void outside(Runnable work) {
        TensorScope here = CURRENT.get();
        CURRENT.remove();
        try {
            work.run();
        } finally {
            CURRENT.set(here);
        }
    }

    /** Hands a tensor of this scope to the scope around it, which must exist. */
    public Tensor promote(Tensor tensor) {
        if (outer == null) {
            throw new IllegalStateException(
                    "the outermost scope cannot promote; release the tensor instead");
        }
        if (tensor.scope == this) {
            disown(tensor);
            outer.own(tensor);
        }
        return tensor;
    }

    /** Takes a tensor out of whatever scope owns it: from now on the caller closes it. */
    public static Tensor release(Tensor tensor) {
        if (tensor.scope != null) {
            tensor.scope.disown(tensor);
        }
        return tensor;
    }

    void own(Tensor tensor) {
        tensor.scope = this;
        tensor.slot = owned.size();
        owned.add(tensor);
    }

    void disown(Tensor tensor) {
        int last = owned.size() - 1;
        Tensor moved =
                owned.get(last); // the last one takes the free place, so that removal is O(1)
        owned.set(tensor.slot, moved);
        if (moved != null) {
            moved.slot = tensor.slot;
        }
        owned.remove(last);
        tensor.scope = null;
    }

    /** Frees what the scope still owns. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        if (CURRENT.get() != this || Thread.currentThread() != thread) {
            throw new IllegalStateException(
                    "TensorScopes must close in reverse order, on their own thread");
        }
        closed = true;
        if (outer == null) {
            CURRENT.remove();
        } else {
            CURRENT.set(outer);
        }
        if (safetyNet) {
            NativeMemory.countFreedBySafetyNet(owned.size());
        }
        for (Tensor tensor : owned) {
            if (tensor != null) {
                tensor.scope = null;
                tensor.close();
            }
        }
        owned.clear();
    }
}

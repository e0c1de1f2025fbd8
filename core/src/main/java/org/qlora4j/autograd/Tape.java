package org.qlora4j.autograd;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Records differentiable operations and runs them backwards.
 *
 * <p>Memory: every operation runs in a scope of its own, forward and backward, so its temporaries
 * die when it returns. Its result belongs to the tape until the enclosing {@link #block} ends or
 * its own backward pass has run. What an operation saves belongs to its node and is freed as soon
 * as its backward pass has run. {@link #close} frees the rest.
 *
 * <pre>{@code
 * try (Tape tape = Tape.recording(dropoutKey)) {
 *     Var loss = CrossEntropy.sum(tape, hidden, head, labels);
 *     tape.backward(loss);                    // gradients are now in the parameters
 * }
 * }</pre>
 */
public final class Tape implements AutoCloseable {
    private static final long[] NO_KEYS = {};

    private final boolean recording;
    private final boolean dropsOut;
    private final long[] dropoutKeys;
    private int dropouts;
    private final List<Node> nodes = new ArrayList<>();
    private List<Tensor> frame = new ArrayList<>();
    private final @Nullable Workspace workspace;
    private final OperationTimes times = OperationTimes.ofThisThread();
    private int operations;

    /** How many of the last operations have values that no backward pass will read. */
    private int unread;

    /** The first operation whose value is left out. */
    private int leftOutFrom = Integer.MAX_VALUE;

    /** An operation that was recorded. */
    private static final class Node {
        final String name;
        final Var result;
        final List<Tensor> saved;
        final Consumer<Tensor> backward;

        Node(String name, Var result, List<Tensor> saved, Consumer<Tensor> backward) {
            this.name = name;
            this.result = result;
            this.saved = saved;
            this.backward = backward;
        }

        void runBackward(Tensor gradient, OperationTimes times) {
            long start = System.nanoTime();
            try (TensorScope scope = TensorScope.open()) {
                backward.accept(gradient);
            }
            times.add(name, 0, System.nanoTime() - start);
        }

        void free() {
            saved.forEach(Tensor::close);
            result.value().close();
        }
    }

    /** Which values the backward pass of an operation reads. */
    enum Reads {
        NOTHING,
        OPERANDS,
        RESULT
    }

    /** Given to an operation's forward pass, to say what its backward pass needs. */
    static final class Call {
        private final boolean recording;
        private final @Nullable Workspace workspace;
        private final boolean leftOut;
        private final List<Tensor> saved = new ArrayList<>();
        private Reads reads = Reads.RESULT;
        private @Nullable Consumer<Tensor> backward;

        Call(boolean recording, @Nullable Workspace workspace, boolean leftOut) {
            this.recording = recording;
            this.workspace = workspace;
            this.leftOut = leftOut;
        }

        /** Whether a backward pass will follow; if not, saving is not worth its time. */
        boolean recording() {
            return recording;
        }

        /** A handle on the tensor that lives until the backward pass, if there is one, has run. */
        Tensor save(Tensor tensor) {
            if (!recording) {
                return tensor;
            }
            Tensor handle = TensorScope.release(tensor.alias());
            saved.add(handle);
            return handle;
        }

        /** A tensor of undefined content for the operation's result, and for nothing else. */
        Tensor result(DType dtype, long... shape) {
            return workspace == null ? Tensors.empty(dtype, shape) : workspace.take(dtype, shape);
        }

        /**
         * Says which values the backward pass reads; without that, the result too.
         *
         * @return whether the result may be undefined, of its shape: the operation runs again for
         *     its backward pass, and nothing reads what it results in
         */
        boolean leavesOut(Reads values) {
            reads = values;
            return leftOut;
        }

        /**
         * Sets what the backward pass does with the gradient of the result, which it must not
         * change or keep.
         */
        void backward(Consumer<Tensor> rule) {
            backward = rule;
        }
    }

    private Tape(
            boolean recording,
            boolean dropsOut,
            long[] dropoutKeys,
            int dropouts,
            @Nullable Workspace workspace) {
        this.workspace = workspace;
        this.recording = recording;
        this.dropsOut = dropsOut;
        this.dropoutKeys = dropoutKeys;
        this.dropouts = dropouts;
    }

    /**
     * A tape for training.
     *
     * @param dropoutKey what dropout masks are made from, with the number of the operation: a pure
     *     function of seed, step and micro-batch, so that a step can be repeated
     */
    public static Tape recording(long dropoutKey) {
        return recording(new long[] {dropoutKey});
    }

    /**
     * A tape for training whose values begin with a dimension of rows.
     *
     * @param dropoutKeys one for each row, so that the masks of a row do not depend on the rows
     *     that are computed beside it
     */
    public static Tape recording(long[] dropoutKeys) {
        return recording(dropoutKeys, 0);
    }

    /**
     * As {@link #recording(long[])}, for a part of a model.
     *
     * @param dropouts operations with dropout that come before the part
     */
    public static Tape recording(long[] dropoutKeys, int dropouts) {
        return new Tape(true, true, dropoutKeys.clone(), dropouts, null);
    }

    /** A tape that records nothing and applies no dropout. */
    public static Tape inference() {
        return new Tape(false, false, NO_KEYS, 0, null);
    }

    /**
     * As {@link #inference()}, for a step that uses again what the steps before it are done with.
     */
    public static Tape inference(Workspace workspace) {
        return new Tape(false, false, NO_KEYS, 0, workspace);
    }

    /** Makes the tape the owner of a tensor that its operations use, such as ids. */
    public Tensor keep(Tensor tensor) {
        frame.add(TensorScope.release(tensor));
        return tensor;
    }

    /** Puts a tensor on the tape as a value without gradient; its owner stays who it was. */
    public Var constant(Tensor value) {
        return new Var(value, false);
    }

    /** Puts a tensor on the tape as a value that wants a gradient; its owner stays who it was. */
    public Var leaf(Tensor value) {
        return new Var(value, true);
    }

    /**
     * Whether dropout applies: true on a training tape, also while a checkpointed block runs its
     * first, unrecorded pass.
     */
    boolean dropsOut() {
        return dropsOut;
    }

    /** The keys of the next dropout mask, one for each row of values. */
    long[] nextDropoutKeys() {
        long[] keys = new long[dropoutKeys.length];
        long number = Dropout.mix(++dropouts);
        for (int row = 0; row < keys.length; row++) {
            keys[row] = Dropout.mix(dropoutKeys[row] + number);
        }
        return keys;
    }

    /**
     * Runs and records one operation; {@code needsGrad} says whether anything it depends on wants a
     * gradient.
     */
    Var operation(String name, boolean needsGrad, Function<Call, Tensor> forward) {
        long start = System.nanoTime();
        Call call = new Call(recording && needsGrad, workspace, operations++ >= leftOutFrom);
        Tensor value;
        try (TensorScope scope = TensorScope.open()) {
            value = TensorScope.release(forward.apply(call));
        } catch (RuntimeException | Error e) {
            call.saved.forEach(Tensor::close);
            throw e;
        }
        frame.add(value);
        Var result = new Var(value, recording && needsGrad);
        if (call.backward != null && call.recording) {
            nodes.add(new Node(name, result, call.saved, call.backward));
        }
        unread =
                switch (call.reads) {
                    case NOTHING -> unread + 1;
                    case OPERANDS -> 1;
                    case RESULT -> 0;
                };
        times.add(name, System.nanoTime() - start, 0);
        return result;
    }

    /**
     * Runs a part of the model, such as a decoder layer. At its end every value made in it is freed
     * that is neither its result nor saved for backward.
     *
     * @param checkpoint keep only {@code x}, and run the part again in the backward pass (arXiv
     *     1604.06174), but for values at its end that this pass does not read
     */
    public Var block(Var x, boolean checkpoint, BiFunction<Tape, Var, Var> body) {
        if (checkpoint && recording) {
            return checkpoint(x, body);
        }
        List<Tensor> outer = frame;
        List<Tensor> inner = new ArrayList<>();
        frame = inner;
        try {
            Var result = body.apply(this, x);
            if (inner.remove(result.value())) { // not so if the part hands its input through
                outer.add(result.value());
            }
            return result;
        } finally {
            frame = outer;
            inner.forEach(this::free);
        }
    }

    private Var checkpoint(Var x, BiFunction<Tape, Var, Var> body) {
        int dropoutsBefore = dropouts;
        return operation(
                "checkpoint",
                true,
                call -> {
                    Tensor value;
                    int read;
                    try (Tape first =
                            new Tape(false, dropsOut, dropoutKeys, dropoutsBefore, null)) {
                        value = first.take(body.apply(first, first.constant(x.value())));
                        dropouts = first.dropouts;
                        read = first.operations - first.unread;
                    }
                    Tensor input = call.save(x.value());
                    call.backward(gradient -> {
                        Var leaf = new Var(input, x.needsGrad());
                        try (Tape again =
                                new Tape(true, dropsOut, dropoutKeys, dropoutsBefore, null)) {
                            again.leftOutFrom = read;
                            again.backward(body.apply(again, leaf), gradient);
                            leaf.shareGradWith(x);
                        } finally {
                            leaf.closeGrad();
                        }
                    });
                    return value;
                });
    }

    /** Takes a result of this tape out of it; the caller owns the tensor. */
    public Tensor take(Var result) {
        Tensor value = result.value();
        return frame.remove(value) ? value : TensorScope.release(value.alias());
    }

    /** Runs every recorded operation backwards from a loss of one element. Only once. */
    public void backward(Var loss) {
        try (TensorScope scope = TensorScope.open()) {
            backward(loss, loss.value().copy().fill(1));
        }
    }

    /**
     * Runs every recorded operation backwards from a result and its gradient, which stays the
     * caller's. Only once.
     */
    public void backward(Var result, Tensor gradientOfResult) {
        result.accumulateShared(gradientOfResult);
        while (!nodes.isEmpty()) {
            Node node = nodes.removeLast();
            try (Tensor gradient = node.result.takeGrad()) {
                if (gradient != null) {
                    node.runBackward(gradient, times);
                }
            } finally {
                node.free();
            }
        }
    }

    /** Frees everything the tape still owns. */
    @Override
    public void close() {
        for (Node node : nodes) {
            node.result.closeGrad();
            node.free();
        }
        nodes.clear();
        frame.forEach(this::free);
        frame.clear();
    }

    private void free(Tensor tensor) {
        if (workspace == null || !workspace.takeBack(tensor)) {
            tensor.close();
        }
    }
}

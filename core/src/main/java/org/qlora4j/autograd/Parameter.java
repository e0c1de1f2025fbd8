package org.qlora4j.autograd;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * A named weight. A frozen one has only its value in the compute dtype. A trainable one has an f32
 * master copy and an f32 gradient too; {@link #refresh} brings the value up to date after the
 * optimizer has changed the master copy.
 */
public final class Parameter implements AutoCloseable {
    private final String name;
    private final long[] listedShape; // of one that is only listed
    private @Nullable Tensor value;
    private @Nullable Tensor master;
    private @Nullable Tensor grad;
    private @Nullable Parameter standIn;
    private boolean storedTransposed;
    private int version;

    private Parameter(String name, long[] shape) {
        this.name = name;
        this.listedShape = shape;
    }

    private Parameter(String name, Tensor value, @Nullable Tensor master) {
        this.name = name;
        this.listedShape = new long[0];
        this.value = TensorScope.release(value);
        this.master = master == null ? null : TensorScope.release(master);
    }

    /** A weight that is known by name and shape, and has no value. */
    public static Parameter listed(String name, long... shape) {
        return new Parameter(name, shape.clone());
    }

    /** A weight that does not learn; the tensor is owned by the parameter from now on. */
    public static Parameter frozen(String name, Tensor value) {
        return new Parameter(name, value, null);
    }

    /** A weight that learns, from an f32 tensor that the parameter owns from now on. */
    public static Parameter trainable(String name, Tensor master, DType compute) {
        if (master.dtype() != compute.wide()) {
            throw new IllegalArgumentException(
                    name
                            + ": the master copy must be "
                            + compute.wide()
                            + ", not "
                            + master.dtype());
        }
        Parameter p = new Parameter(name, master.to(compute), master);
        p.grad = TensorScope.release(Tensors.zeros(master.dtype(), master.shape()));
        return p;
    }

    /** Name in the checkpoint, e.g. {@code model.layers.0.mlp.up_proj.weight}. */
    public String name() {
        return name;
    }

    /** The weight in the compute dtype. */
    public Tensor value() {
        return standIn == null ? own() : standIn.value();
    }

    /** Says that checkpoints have this matrix as its transpose, as transformers' Conv1D has it. */
    public Parameter storedTransposed() {
        storedTransposed = true;
        return this;
    }

    /** Whether checkpoints have it as its transpose. */
    public boolean isStoredTransposed() {
        return storedTransposed;
    }

    /** Sizes of its dimensions. */
    public long[] shape() {
        return value == null ? listedShape.clone() : value().shape();
    }

    /** Whether it has no value. */
    public boolean isListed() {
        return value == null;
    }

    private Tensor own() {
        Tensor known = value;
        if (known == null) {
            throw new IllegalStateException(name + " is only listed");
        }
        return known;
    }

    public boolean trainable() {
        return standIn == null ? master != null : standIn.trainable();
    }

    /** The weight as exact as it is known: the master copy where there is one. */
    public Tensor finest() {
        return trainable() ? master() : value();
    }

    /**
     * Lets another parameter of the same shape take this one's place wherever it is used; null
     * brings it back. Each stays its owner's.
     */
    public void standIn(@Nullable Parameter other) {
        standIn = other;
    }

    /** Takes another parameter away that stands in this one's place, if it does. */
    public void endStandIn(Parameter other) {
        if (standIn == other) {
            standIn = null;
        }
    }

    /**
     * Puts another value in the place of a frozen one, which is freed. The tensor is owned by the
     * parameter from now on.
     */
    public void replaceValue(Tensor newValue) {
        if (master != null) {
            throw new IllegalStateException(name + " learns; its value follows its master copy");
        }
        own().close();
        value = TensorScope.release(newValue);
        version++;
    }

    /** Grows whenever the value may have changed. */
    public int version() {
        return version;
    }

    /** The f32 copy that the optimizer changes. */
    public Tensor master() {
        return standIn == null ? required(master) : standIn.master();
    }

    /** Sum of the f32 gradients since the last {@link #zeroGrad}. */
    public Tensor grad() {
        return standIn == null ? required(grad) : standIn.grad();
    }

    public void zeroGrad() {
        required(grad).zero();
    }

    /**
     * Copies the master copy into the value. Where both are f32 they share memory and nothing is
     * copied.
     */
    public void refresh() {
        version++;
        Tensor m = required(master);
        if (own().dtype() != m.dtype()) {
            own().copyFrom(m);
        }
    }

    /**
     * Moves the master copy into part of a larger tensor, so that an optimizer sees all parameters
     * as one.
     */
    public void moveMaster(Tensor part) {
        Tensor old = required(master);
        part.copyFrom(old);
        master = TensorScope.release(part);
        if (own().dtype() == old.dtype()) { // it shared the old master copy's memory
            own().close();
            value = TensorScope.release(part.alias());
        }
        old.close();
    }

    /** Frees the gradient; there is none until {@link #useGrad}. */
    public void dropGrad() {
        required(grad).close();
        grad = null;
    }

    /** Takes part of a larger tensor as gradient, as it is. */
    public void useGrad(Tensor part) {
        if (grad != null) {
            grad.close();
        }
        grad = TensorScope.release(part);
    }

    private Tensor required(@Nullable Tensor tensor) {
        if (tensor == null) {
            throw new IllegalStateException(name + " is frozen");
        }
        return tensor;
    }

    @Override
    public void close() {
        if (value != null) {
            value.close();
        }
        if (master != null) {
            master.close();
        }
        if (grad != null) {
            grad.close();
        }
    }
}

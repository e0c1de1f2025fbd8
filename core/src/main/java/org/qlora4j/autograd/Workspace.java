package org.qlora4j.autograd;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Results of operations that go from one step of generation to the next: a step needs the tensors
 * that the step before it has done with, and to ask libtorch for each anew takes longer than to
 * compute it. It owns them; {@link #close} frees them.
 */
public final class Workspace implements AutoCloseable {
    private final List<Pile> piles = new ArrayList<>();
    private final Map<Tensor, Pile> pileOf = new IdentityHashMap<>();

    /** Tensors of one type and shape that nobody uses. */
    private record Pile(DType dtype, long[] shape, ArrayDeque<Tensor> free) {
        boolean holds(DType otherType, long[] otherShape) {
            return dtype == otherType && Arrays.equals(shape, otherShape);
        }
    }

    /** A tensor of undefined content. */
    Tensor take(DType dtype, long... shape) {
        Pile pile = pile(dtype, shape);
        Tensor free = pile.free.poll();
        if (free != null) {
            return free;
        }
        Tensor made = TensorScope.release(Tensors.empty(dtype, shape));
        pileOf.put(made, pile);
        return made;
    }

    private Pile pile(DType dtype, long[] shape) {
        for (Pile pile : piles) { // about ten
            if (pile.holds(dtype, shape)) {
                return pile;
            }
        }
        Pile pile = new Pile(dtype, shape.clone(), new ArrayDeque<>());
        piles.add(pile);
        return pile;
    }

    /** Takes a tensor back, if it is one of these; whoever has it must not use it again. */
    boolean takeBack(Tensor tensor) {
        @Nullable Pile pile = pileOf.get(tensor);
        if (pile == null) {
            return false;
        }
        pile.free.push(tensor);
        return true;
    }

    @Override
    public void close() {
        pileOf.keySet().forEach(Tensor::close);
        pileOf.clear();
        piles.clear();
    }
}

package org.qlora4j.model;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.DequantizationBuffer;
import org.qlora4j.autograd.Weight;
import org.qlora4j.quant.FrozenMatrix;
import org.qlora4j.quant.Int8Matrix;
import org.qlora4j.tensor.Engine;

/**
 * Frozen weights that stay in their checkpoint and are read layer by layer as they are used. In
 * memory are the layer at work and the next one, which a thread reads meanwhile: a model may be
 * larger than memory, and computes the same bits.
 *
 * <p>A forward pass goes up the layers, a backward pass down, generation begins again at the first.
 * Which layer comes next is taken to be the one that came after the same two before.
 *
 * <p>All methods are for one thread, the engine's.
 */
final class LayerStream implements AutoCloseable {
    private final WeightSource source;
    private final List<Layer> layers = new ArrayList<>();
    private final Map<Step, Integer> followed = new HashMap<>();
    private final ExecutorService reader =
            Executors.newSingleThreadExecutor(
                    Thread.ofPlatform().daemon().name("qlora4j-layers").factory());
    private final AtomicInteger held = new AtomicInteger();
    private final AtomicInteger mostHeld = new AtomicInteger();
    private int before = -1;
    private int now = -1;
    private @Nullable Held current;
    private int aheadOf = -1;
    private @Nullable Future<Held> ahead;

    /** A weight as the checkpoint has it. */
    private record Stored(String name, long[] shape, long bytes) {}

    /** Weights whose names begin alike, in the order of asking. */
    private record Layer(String name, List<Stored> weights) {
        long bytes() {
            return weights.stream().mapToLong(Stored::bytes).sum();
        }
    }

    /** From one layer to another. */
    private record Step(int from, int to) {}

    /**
     * @param source asked for weights from another thread once the model is built
     */
    LayerStream(WeightSource source) {
        this.source = source;
    }

    /** Whether a matrix of this name is of a layer, and in a form that can be streamed. */
    static boolean takes(String name, FrozenMatrix matrix) {
        return ModelShape.layer(name) != null && !(matrix instanceof Int8Matrix);
    }

    /**
     * Adds a weight, behind those that are used before it.
     *
     * @param stored as it was read once, and so checked; freed here
     */
    Weight.Streamed add(String name, FrozenMatrix stored, DequantizationBuffer buffer) {
        long[] shape = stored.shape();
        long bytes = stored.byteSize();
        stored.close();
        String layer = String.valueOf(ModelShape.layer(name));
        if (layers.isEmpty() || !layers.getLast().name.equals(layer)) {
            layers.add(new Layer(layer, new ArrayList<>()));
        }
        int at = layers.size() - 1;
        List<Stored> weights = layers.getLast().weights;
        int place = weights.size();
        weights.add(new Stored(name, shape, bytes));
        return new Weight.Streamed(() -> weight(at, place), shape[0], shape[1], buffer);
    }

    int layers() {
        return layers.size();
    }

    /** Bytes of all weights. */
    long storedBytes() {
        return layers.stream().mapToLong(Layer::bytes).sum();
    }

    /** Bytes that are held at most: those of the two largest neighbours. */
    long heldBytes() {
        long most = layers.isEmpty() ? 0 : layers.getFirst().bytes();
        for (int i = 1; i < layers.size(); i++) {
            most = Math.max(most, layers.get(i - 1).bytes() + layers.get(i).bytes());
        }
        return most;
    }

    /** Most layers that were held at once, those that were being read among them. */
    int mostHeld() {
        return mostHeld.get();
    }

    private FrozenMatrix weight(int layer, int place) {
        Held here = current;
        if (here == null || now != layer) {
            here = turnTo(layer);
        }
        return here.weights.get(place);
    }

    private Held turnTo(int layer) {
        drop(); // before another one is read: there are never three
        Future<Held> coming = ahead;
        ahead = null;
        if (coming == null || aheadOf != layer) {
            discard(coming);
            coming = read(layer);
        }
        if (now >= 0) {
            followed.put(new Step(before, now), layer);
        }
        before = now;
        now = layer;
        Held here = await(coming);
        current = here;
        int next = next();
        if (next >= 0 && next != now) {
            aheadOf = next;
            ahead = read(next);
        }
        return here;
    }

    /** The layer that will be used next; negative if there is none. */
    private int next() {
        Integer known = followed.get(new Step(before, now));
        if (known != null) {
            return known;
        }
        int on = before == now + 1 ? now - 1 : now + 1;
        return on < 0 || on == layers.size() ? before : on; // it turns
    }

    private Future<Held> read(int layer) {
        return reader.submit(() -> new Held(layers.get(layer)));
    }

    /** Frees what was read in vain, as soon as it is there and before anything else is read. */
    private void discard(@Nullable Future<Held> unused) {
        if (unused != null) {
            reader.execute(() -> {
                if (unused.state() == Future.State.SUCCESS) {
                    unused.resultNow().close();
                }
            });
        }
    }

    private void drop() {
        if (current != null) {
            current.close();
            current = null;
        }
    }

    private static Held await(Future<Held> coming) {
        try {
            return Engine.result(coming);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for a layer", e);
        }
    }

    /** A layer in memory. */
    private final class Held implements AutoCloseable {
        private final List<FrozenMatrix> weights = new ArrayList<>();

        Held(Layer layer) {
            mostHeld.accumulateAndGet(held.incrementAndGet(), Math::max);
            try {
                for (Stored weight : layer.weights) {
                    FrozenMatrix matrix = source.readQuantized(weight.name, weight.shape);
                    if (matrix == null) {
                        throw new IllegalStateException(weight.name + " is in few bits no more");
                    }
                    weights.add(matrix);
                }
            } catch (RuntimeException | Error e) {
                close();
                throw e;
            }
        }

        @Override
        public void close() {
            weights.forEach(FrozenMatrix::close);
            held.decrementAndGet();
        }
    }

    /** Frees what is held; waits for the end of a read. The source may be closed afterwards. */
    @Override
    public void close() {
        drop();
        if (!reader.isShutdown()) {
            discard(ahead);
            ahead = null;
            reader.close();
        }
    }
}

package org.qlora4j.world;

import java.util.Map;
import org.qlora4j.tensor.Tensor;

/** A world of one process. */
final class Alone implements World {
    @Override
    public int rank() {
        return 0;
    }

    @Override
    public int size() {
        return 1;
    }

    @Override
    public void sum(Tensor values) {}

    @Override
    public double[] sum(double... values) {
        return values;
    }

    @Override
    public void send(Tensor values, int rank) {
        throw new IllegalStateException("there is no other process");
    }

    @Override
    public void receive(Tensor values, int rank) {
        throw new IllegalStateException("there is no other process");
    }

    @Override
    public double fromFirst(double value) {
        return value;
    }

    @Override
    public void requireSame(Map<String, String> facts) {}

    @Override
    public boolean isBroken() {
        return false;
    }

    @Override
    public void fail(String reason) {}

    @Override
    public void leave() {}

    @Override
    public void close() {}
}

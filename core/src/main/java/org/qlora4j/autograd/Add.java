package org.qlora4j.autograd;

/** {@code a + b}: the residual connection. */
public final class Add {
    private Add() {}

    /** Both of one shape. */
    public static Var apply(Tape tape, Var a, Var b) {
        return tape.operation(
                "add",
                a.needsGrad() || b.needsGrad(),
                call -> {
                    call.backward(gradient -> {
                        a.accumulateShared(gradient);
                        b.accumulateShared(gradient);
                    });
                    return a.value().plus(b.value());
                });
    }
}

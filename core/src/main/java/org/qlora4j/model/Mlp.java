package org.qlora4j.model;

import org.qlora4j.autograd.Activate;
import org.qlora4j.autograd.GatedMlp;
import org.qlora4j.autograd.Part;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.kernel.Activation;
import org.qlora4j.kernel.Gate;
import org.qlora4j.lora.LinearLayer;

/** The part of a layer that works on each position alone. */
public sealed interface Mlp {
    /** x [batch, time, hidden], normed, to [batch, time, hidden]. */
    Var forward(Tape tape, Var x);

    /** {@code down(f(gate(x)) * up(x))} (arXiv 2002.05202). */
    record Gated(Gate f, LinearLayer gate, LinearLayer up, LinearLayer down) implements Mlp {
        @Override
        public Var forward(Tape tape, Var x) {
            Var gated = GatedMlp.apply(tape, f, gate.forward(tape, x), up.forward(tape, x));
            return down.forward(tape, gated);
        }
    }

    /** {@link Gated} whose gate and up are made by one linear layer, to [gate | up]. */
    record FusedGated(Gate f, LinearLayer gateUp, LinearLayer down) implements Mlp {
        @Override
        public Var forward(Tape tape, Var x) {
            int inner = (int) down.weight().in();
            Var both = gateUp.forward(tape, x);
            Var gate = Part.apply(tape, both, 1, 0, inner);
            Var up = Part.apply(tape, both, 1, inner, inner);
            return down.forward(tape, GatedMlp.apply(tape, f, gate, up));
        }
    }

    /** {@code down(f(up(x)))}. */
    record Plain(LinearLayer up, Activation f, LinearLayer down) implements Mlp {
        @Override
        public Var forward(Tape tape, Var x) {
            return down.forward(tape, Activate.apply(tape, up.forward(tape, x), f));
        }
    }

    /** The module {@code mlp} with linears {@code gate_proj, up_proj, down_proj}. */
    static Mlp gated(Weights weights, ModelFacts facts, boolean bias) {
        return gated(weights, facts, Gate.SILU, bias);
    }

    /** As {@link #gated(Weights, ModelFacts, boolean)}, with another function of the gate. */
    static Mlp gated(Weights weights, ModelFacts facts, Gate f, boolean bias) {
        int hidden = facts.hiddenSize();
        int inner = facts.intermediateSize();
        return new Gated(
                f,
                weights.linear("gate_proj", inner, hidden, bias),
                weights.linear("up_proj", inner, hidden, bias),
                weights.linear("down_proj", hidden, inner, bias));
    }
}

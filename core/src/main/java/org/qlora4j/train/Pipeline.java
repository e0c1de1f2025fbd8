package org.qlora4j.train;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.config.TrainConfig;
import org.qlora4j.data.Batch;
import org.qlora4j.data.StepPlan;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Stage;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.world.World;

/**
 * Passes through a model whose layers are divided over processes, of which this one holds a stage.
 * Values go from stage to stage, gradients back. Rows go through in small pieces, so that all
 * stages compute at once, in the order 1F1B (PipeDream-flush, arXiv 2104.04473): a stage that has
 * begun as many pieces as there are stages from it on ends one before it begins the next, and keeps
 * activations of no more.
 */
final class Pipeline {
    private final CausalModel model;
    private final Stage stage;
    private final World world;
    private final boolean checkpointing;
    private final int rows;

    private Pipeline(CausalModel model, World world, boolean checkpointing, int rows) {
        this.model = model;
        this.stage = model.stage();
        this.world = world;
        this.checkpointing = checkpointing;
        this.rows = rows;
    }

    /**
     * The passes of a run; null where the model is whole.
     *
     * @param model this process's stage, with its adapter
     */
    static @Nullable Pipeline of(TrainConfig train, CausalModel model, Placement place) {
        return place.stages() == 1
                ? null
                : new Pipeline(
                        model,
                        place.world(),
                        train.gradientCheckpointing(),
                        train.rowsAtOnce(place.groups()));
    }

    /** Most rows that go through at once. */
    int rows() {
        return rows;
    }

    /** Micro-batches cut into pieces. */
    List<StepPlan.Share> pieces(List<StepPlan.Share> shares) {
        List<StepPlan.Share> out = new ArrayList<>();
        for (StepPlan.Share share : shares) {
            for (int at = 0; at < share.rows().length; at += rows) {
                int end = Math.min(at + rows, share.rows().length);
                out.add(
                        new StepPlan.Share(
                                Arrays.copyOfRange(share.rows(), at, end),
                                Arrays.copyOfRange(share.places(), at, end)));
            }
        }
        return out;
    }

    /**
     * Rows that go through at once.
     *
     * @param dropoutKeys make the dropout masks, one for each row
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Piece(Batch batch, long[] dropoutKeys) {}

    /** A piece whose backward pass is to come. */
    private final class Flight implements AutoCloseable {
        private final Objective.NextToken objective;
        private final Tape tape;
        private final @Nullable Var before;
        private final Var result;

        Flight(Piece piece, Tape tape) {
            this.objective = new Objective.NextToken(piece.batch);
            this.tape = tape;
            try {
                this.before = stage.isFirst() ? null : tape.leaf(received(tape, piece.batch));
                Var hidden = objective.hidden(tape, model, before, checkpointing);
                this.result =
                        stage.isLast()
                                ? objective.loss(tape, hidden, model.head(), CrossEntropy::sum)
                                : hidden;
            } catch (RuntimeException | Error e) {
                close();
                throw e;
            }
        }

        /** What the stage before sends. */
        private Tensor received(Tape owner, Batch batch) {
            Tensor values =
                    owner.keep(
                            Tensors.empty(
                                    model.compute(),
                                    batch.batch(),
                                    batch.time(),
                                    stage.shape().hiddenSize()));
            world.receive(values, world.rank() - 1);
            return values;
        }

        /** Hands the result on; returns the summed loss, which only the last stage knows. */
        double passOn() {
            if (stage.isLast()) {
                return result.value().item();
            }
            send(result.value().alias(), world.rank() + 1);
            return 0;
        }

        void backward() {
            if (stage.isLast()) {
                tape.backward(result);
            } else {
                try (TensorScope scope = TensorScope.open()) {
                    Tensor gradient = Tensors.empty(model.compute(), result.value().shape());
                    world.receive(gradient, world.rank() + 1);
                    tape.backward(result, gradient);
                }
            }
            if (before != null) {
                Tensor gradient = before.takeGrad();
                if (gradient == null) {
                    throw new IllegalStateException("no gradient reaches the stage before");
                }
                send(gradient, world.rank() - 1);
            }
        }

        private void send(Tensor values, int rank) {
            world.send(TensorScope.release(values.contiguous()), rank);
        }

        @Override
        public void close() {
            tape.close();
            objective.close();
        }
    }

    /**
     * Adds the gradients of all pieces to those of the parameters that learn.
     *
     * @return the sum of -log p over the label tokens, in nats; 0 but in the last stage
     */
    double backward(List<Piece> pieces) {
        int before = dropoutsBefore();
        Deque<Flight> flights = new ArrayDeque<>();
        double sum = 0;
        try (TensorScope step = TensorScope.openSafetyNet()) {
            for (Piece piece : pieces) {
                Flight flight = new Flight(piece, Tape.recording(piece.dropoutKeys, before));
                flights.add(flight);
                sum += flight.passOn();
                if (flights.size() == stage.inFlight()) {
                    end(flights);
                }
            }
            while (!flights.isEmpty()) {
                end(flights);
            }
        } finally {
            flights.forEach(Flight::close);
        }
        return sum;
    }

    private static void end(Deque<Flight> flights) {
        flights.getFirst().backward();
        flights.removeFirst().close();
    }

    /**
     * Dropouts of the stages before this one: masks are numbered through the model. All layers have
     * their updates here, also those whose weights are elsewhere.
     */
    private int dropoutsBefore() {
        int count = 0;
        for (LinearLayer linear : model.linears()) {
            boolean earlier = Stage.layer(linear.path()) < stage.from();
            boolean drops = linear.update() != null && linear.update().lora().dropout() > 0;
            count += earlier && drops ? 1 : 0;
        }
        return count;
    }

    /** The summed loss of a batch, without gradients and dropout; 0 but in the last stage. */
    double evaluate(Batch batch) {
        try (TensorScope step = TensorScope.openSafetyNet();
                Flight flight = new Flight(new Piece(batch, new long[0]), Tape.inference())) {
            return flight.passOn();
        }
    }
}

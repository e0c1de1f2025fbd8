package org.qlora4j.train;

import static org.qlora4j.error.Require.require;

import java.util.function.BooleanSupplier;
import org.qlora4j.config.TrainConfig;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.Stage;
import org.qlora4j.world.World;

/**
 * Where a process stands among those of a run: processes with neighbouring numbers hold the stages
 * of one model, and each such group computes rows of its own.
 *
 * @param stages processes of a group; 1 where each holds the whole model
 */
record Placement(World world, int stages) {
    /** A run of one process. */
    static final Placement ALONE = new Placement(World.ALONE, 1);

    Placement {
        require(
                world.size() % stages == 0,
                "train.pipeline_parallel_size must divide the number of processes, %d, got %d; start as many with"
                        + " qlora launch -n, or leave it at 1",
                world.size(),
                stages);
    }

    static Placement of(World world, TrainConfig train) {
        return new Placement(world, train.pipelineParallelSize());
    }

    /** Number of this process's stage, from 0. */
    int stage() {
        return world.rank() % stages;
    }

    /** Number of its group, from 0. */
    int group() {
        return world.rank() / stages;
    }

    /** Number of groups. */
    int groups() {
        return world.size() / stages;
    }

    boolean isLastStage() {
        return stage() == stages - 1;
    }

    /**
     * Whether to end, where processes that hold one model must go on or end together.
     *
     * @param cancelled asked here
     */
    boolean ends(BooleanSupplier cancelled) {
        boolean own = cancelled.getAsBoolean();
        return stages > 1 ? world.any(own) : own;
    }

    /** A line on the stages of a model. */
    String notice(ModelShape shape, int rows) {
        StringBuilder line =
                new StringBuilder("%d layers in %d stages:".formatted(shape.layers(), stages));
        for (int i = 0; i < stages; i++) {
            Stage stage = Stage.of(shape, i, stages);
            line.append(i == 0 ? " " : ", ");
            line.append("%d to %d in process %d".formatted(stage.from(), stage.to() - 1, i));
        }
        return line.append("; rows go through them by %d".formatted(rows)).toString();
    }
}

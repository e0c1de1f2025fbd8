package org.qlora4j.world;

import static org.qlora4j.error.Require.require;

import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * Which process of a run this is, and where it meets the others: what torchrun, {@code qlora
 * launch}, Slurm's {@code srun} and Kubeflow's trainer tell a process by variables.
 *
 * @param rank number of this process, from 0
 * @param size number of processes
 * @param localRank number of this process on its machine, from 0
 * @param localSize processes on this machine; 1 where nobody says
 * @param address of the machine of process 0
 * @param port of process 0
 * @param token a word that all processes must have; empty for none
 */
public record Membership(
        int rank, int size, int localRank, int localSize, String address, int port, String token) {
    /** The port that torchrun takes where none is given. */
    public static final int PORT = 29500;

    /** Holds the token. */
    public static final String TOKEN = "QLORA_CLUSTER_TOKEN";

    /** A run of one process. */
    public static final Membership ALONE = new Membership(0, 1, 0, 1, "127.0.0.1", PORT, "");

    public Membership {
        require(size >= 1, "WORLD_SIZE must be at least 1, got %d", size);
        require(
                rank >= 0 && rank < size,
                "RANK must be from 0 to %d for %d processes, got %d",
                size - 1,
                size,
                rank);
        require(
                localSize >= 1 && localRank >= 0,
                "LOCAL_RANK and LOCAL_WORLD_SIZE must count processes, got %d and %d",
                localRank,
                localSize);
        require(port >= 1 && port <= 0xFFFF, "MASTER_PORT must be from 1 to 65535, got %d", port);
    }

    /**
     * Reads the variables of a process: those of torchrun first, then Slurm's, then Kubeflow's.
     * Slurm's count inside {@code srun}, or where MASTER_ADDR stands beside them: a script that
     * Slurm starts has them too, though it is one process.
     *
     * @throws ConfigException with the variable that is missing or no number
     */
    public static Membership of(Map<String, String> environment) {
        Variables all = new Variables(environment);
        String token = all.text(TOKEN, "");
        if (all.has("WORLD_SIZE")) {
            int size = all.number("WORLD_SIZE", 1);
            if (size == 1) {
                return ALONE;
            }
            return new Membership(
                    all.number("RANK", null),
                    size,
                    all.number("LOCAL_RANK", 0),
                    all.number("LOCAL_WORLD_SIZE", 1),
                    all.text("MASTER_ADDR", null),
                    all.number("MASTER_PORT", PORT),
                    token);
        }
        boolean inStep = all.has("SLURM_STEP_ID") || all.has("MASTER_ADDR");
        if (all.has("SLURM_PROCID") && inStep) {
            return ofSlurm(all, token);
        }
        return all.has("PET_NNODES") ? ofKubeflow(all, token) : ALONE;
    }

    private static Membership ofSlurm(Variables all, String token) {
        String count = all.has("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
        int size = all.number(count, 1);
        if (size == 1) {
            return ALONE;
        }
        require(
                all.has("MASTER_ADDR"),
                "%s is %d but MASTER_ADDR is not set; put export MASTER_ADDR=$(scontrol show hostnames"
                        + " \"$SLURM_JOB_NODELIST\" | head -n 1) before srun",
                count,
                size);
        return new Membership(
                all.number("SLURM_PROCID", null),
                size,
                all.number("SLURM_LOCALID", 0),
                1, // srun gives each its own cores
                all.text("MASTER_ADDR", null),
                all.number("MASTER_PORT", PORT),
                token);
    }

    private static Membership ofKubeflow(Variables all, String token) {
        String perNode = all.text("PET_NPROC_PER_NODE", "1");
        int size = all.number("PET_NNODES", 1);
        require(
                perNode.equals("1") || perNode.equals("auto") || perNode.equals("cpu"),
                "PET_NPROC_PER_NODE is %s: start the processes of a machine by qlora launch -n %s train ...",
                perNode,
                perNode);
        if (size == 1) {
            return ALONE;
        }
        return new Membership(
                all.number("PET_NODE_RANK", null),
                size,
                0,
                1,
                all.text("PET_MASTER_ADDR", null),
                all.number("PET_MASTER_PORT", PORT),
                token);
    }

    /** Variables of a process; an empty one is none. */
    private record Variables(Map<String, String> values) {
        boolean has(String name) {
            return !values.getOrDefault(name, "").isBlank();
        }

        String text(String name, @Nullable String orElse) {
            if (has(name)) {
                return values.getOrDefault(name, "").strip();
            }
            if (orElse == null) {
                throw ConfigException.of(
                        "%s is not set, though other variables say that several processes train together; set it on all"
                                + " of them, or unset WORLD_SIZE",
                        name);
            }
            return orElse;
        }

        int number(String name, @Nullable Integer orElse) {
            String text = text(name, orElse == null ? null : String.valueOf(orElse));
            try {
                return Integer.parseInt(text);
            } catch (NumberFormatException e) {
                throw new ConfigException(
                        "%s must be a whole number, got %s".formatted(name, text), e);
            }
        }
    }
}

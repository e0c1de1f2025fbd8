package org.qlora4j.app;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.world.Membership;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * {@code qlora launch -n N train ...}: starts the processes of one machine that train together. It
 * sets the variables that torchrun sets, and ends all when one fails; the rest they do themselves.
 */
@Command(
        name = "launch",
        description =
                "Train with several processes of this machine, which share its cores and each step's examples.",
        footer = {
            "",
            "On several machines type the same on each, with --nnodes, --node-rank, --master-addr and --master-port"
                    + " (Kubeflow's PET_* variables say the same); docs/scale.md. torchrun, srun and whatever else sets RANK,"
                    + " WORLD_SIZE, MASTER_ADDR and MASTER_PORT need no launch."
        })
final class LaunchCommand implements Callable<Integer> {
    /** Time for the others to notice by themselves that one has failed, and to say so. */
    private static final int GRACE_SECONDS = 10;

    /** Time to read what processes said before they ended. */
    private static final int READ_SECONDS = 5;

    /** The GPUs that CUDA shows to a process. */
    private static final String GPUS = "CUDA_VISIBLE_DEVICES";

    @Option(
            names = {"-n", "--nproc-per-node"},
            paramLabel = "N",
            description = "Processes of this machine (PET_NPROC_PER_NODE).")
    @Nullable Integer processes;

    @Option(
            names = "--nnodes",
            paramLabel = "M",
            description = "Machines (PET_NNODES); 1 if not given.")
    @Nullable Integer machines;

    @Option(
            names = "--node-rank",
            paramLabel = "I",
            description = "Number of this machine, from 0 (PET_NODE_RANK).")
    @Nullable Integer machine;

    @Option(
            names = "--master-addr",
            paramLabel = "HOST",
            description = "Address of machine 0 (PET_MASTER_ADDR).")
    @Nullable String address;

    @Option(
            names = "--master-port",
            paramLabel = "PORT",
            description = "A free port of machine 0 (PET_MASTER_PORT).")
    @Nullable Integer port;

    @Parameters(
            arity = "1..*",
            paramLabel = "train ...",
            hideParamSyntax = true,
            description = "The command of every process.")
    List<String> command = new ArrayList<>();

    @Spec @Nullable CommandSpec spec;

    private final Map<String, String> environment = System.getenv();
    private final List<Thread> readers = new ArrayList<>(); // of what processes say on stderr

    @Override
    public Integer call() throws InterruptedException {
        if (!command.getFirst().equals("train")) {
            throw ConfigException.of(
                    "launch starts qlora train, got '%s'; type qlora launch -n 2 train CONFIG.yaml",
                    command.getFirst());
        }
        int perMachine = number(processes, "PET_NPROC_PER_NODE", "-n", null);
        int count = number(machines, "PET_NNODES", "--nnodes", 1);
        int here = count == 1 ? 0 : number(machine, "PET_NODE_RANK", "--node-rank", null);
        if (perMachine < 1 || count < 1 || here < 0 || here >= count) {
            throw ConfigException.of(
                    "-n and --nnodes must be at least 1 and --node-rank below --nnodes, got %d, %d and %d",
                    perMachine, count, here);
        }
        String master = count == 1 ? loopback() : address();
        int masterPort =
                count == 1 && port == null
                        ? freePort()
                        : number(port, "PET_MASTER_PORT", "--master-port", Membership.PORT);
        List<Process> all = new ArrayList<>();
        // Ctrl-C reaches all of a terminal; a signal to this process alone is passed on.
        Thread onInterrupt = new Thread(() -> OwnJvm.stop(all), "qlora4j-launch");
        Runtime.getRuntime().addShutdownHook(onInterrupt);
        try {
            for (int local = 0; local < perMachine; local++) {
                Map<String, String> variables =
                        Map.of(
                                "RANK",
                                "" + (here * perMachine + local),
                                "WORLD_SIZE",
                                "" + count * perMachine,
                                "LOCAL_RANK",
                                "" + local,
                                "LOCAL_WORLD_SIZE",
                                "" + perMachine,
                                "MASTER_ADDR",
                                master,
                                "MASTER_PORT",
                                "" + masterPort,
                                GPUS,
                                gpu(environment.get(GPUS), local));
                all.add(start(variables, here * perMachine + local));
            }
            return await(all);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            all.forEach(Process::destroyForcibly); // at work only after a failure
            for (Thread reader : readers) { // the last lines that processes said
                reader.join(Duration.ofSeconds(READ_SECONDS));
            }
            removeHook(onInterrupt);
        }
    }

    private int number(
            @Nullable Integer option, String variable, String name, @Nullable Integer orElse) {
        String text = environment.getOrDefault(variable, "");
        if (option != null) {
            return option;
        }
        if (text.isBlank()) {
            if (orElse == null) {
                throw ConfigException.of("launch needs %s (or %s)", name, variable);
            }
            return orElse;
        }
        try {
            return Integer.parseInt(text.strip());
        } catch (NumberFormatException e) {
            throw new ConfigException(
                    "%s must be a whole number, got %s; or give %s".formatted(variable, text, name),
                    e);
        }
    }

    private String address() {
        String given = address != null ? address : environment.getOrDefault("PET_MASTER_ADDR", "");
        if (given.isBlank()) {
            throw new ConfigException(
                    "launch on several machines needs --master-addr (or PET_MASTER_ADDR), the address of machine 0");
        }
        return given;
    }

    /**
     * The GPU of a process, the only one that it sees: {@code model.device} knows the first alone.
     *
     * @param visible what is set for all; null for nothing
     */
    static String gpu(@Nullable String visible, int local) {
        if (visible == null) {
            return String.valueOf(local);
        }
        String[] all = visible.split(",", -1);
        return local < all.length ? all[local].strip() : "";
    }

    private static String loopback() {
        return InetAddress.getLoopbackAddress().getHostAddress();
    }

    private static int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Process 0 has the terminal; lines of errors of the others are told with their number. */
    private Process start(Map<String, String> variables, int rank) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(OwnJvm.command(command));
        builder.environment().putAll(variables);
        builder.redirectOutput(Redirect.INHERIT);
        if (rank == 0) {
            builder.redirectError(Redirect.INHERIT);
        }
        Process process = builder.start();
        process.getOutputStream().close(); // it reads no input
        if (rank == 0) {
            return process;
        }
        readers.add(
                Thread.ofPlatform()
                        .daemon()
                        .name("qlora4j-errors-" + rank)
                        .start(() -> passOn(process, rank)));
        return process;
    }

    private void passOn(Process process, int rank) {
        var err = Objects.requireNonNull(spec, "picocli sets it").commandLine().getErr();
        try (var lines = process.errorReader(StandardCharsets.UTF_8)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                err.println("process " + rank + ": " + line);
            }
        } catch (IOException e) {
            err.println("process " + rank + ": its errors cannot be read: " + e.getMessage());
        }
    }

    /** Waits for all; where one fails, the others get time to end by themselves. */
    private int await(List<Process> all) throws InterruptedException {
        int failed = ExitCode.OK;
        long end = Long.MAX_VALUE;
        while (all.stream().anyMatch(Process::isAlive)) {
            for (Process process : all) {
                if (failed == ExitCode.OK && !process.isAlive() && process.exitValue() != 0) {
                    failed = process.exitValue();
                    end = System.nanoTime() + TimeUnit.SECONDS.toNanos(GRACE_SECONDS);
                }
            }
            if (failed != ExitCode.OK && System.nanoTime() - end > 0) {
                return failed;
            }
            TimeUnit.MILLISECONDS.sleep(50);
        }
        return all.stream()
                .mapToInt(Process::exitValue)
                .filter(code -> code != 0)
                .findFirst()
                .orElse(ExitCode.OK);
    }

    private static void removeHook(Thread hook) {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException goingDown) {
            // the hook is running, and waits for the same processes
        }
    }
}

package org.qlora4j.testing;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.qlora4j.error.UserException;

/**
 * Tries numbered inputs in a JVM of its own, many in one process, which is started again behind an
 * input that ended it. An input is good if it gives a result or a one-line {@link UserException}
 * within the time allowed.
 */
public final class FuzzChild {
    private static final String DONE = "done";
    private static final String ACCEPTED = "accepted";
    private static final String REFUSED = "refused";
    private static final String RENEW = "renew";

    private FuzzChild() {}

    /** Why a child must not go on though its input was refused: threads that nobody can end. */
    @FunctionalInterface
    public interface Spoilt {
        boolean by(UserException refusal);
    }

    /** What a child does with one input. */
    @FunctionalInterface
    public interface Trial {
        void run(long seed) throws Exception;
    }

    /**
     * The body of a child's {@code main}.
     *
     * @param arguments first seed and number of seeds
     */
    public static void main(String[] arguments, Trial trial) {
        main(arguments, trial, refusal -> false);
    }

    /**
     * The same for readers that leave something behind.
     *
     * @param spoilt tells after which refusals the rest is for a fresh child
     */
    public static void main(String[] arguments, Trial trial, Spoilt spoilt) {
        long from = Long.parseLong(arguments[0]);
        long count = Long.parseLong(arguments[1]);
        for (long seed = from; seed < from + count; seed++) {
            say("at " + seed);
            try {
                // the first numbers of java.util.Random are alike for neighbouring seeds
                trial.run(new SplittableRandom(seed).nextLong());
                say(ACCEPTED);
            } catch (UserException e) {
                say(REFUSED);
                String message = String.valueOf(e.getMessage());
                if (message.lines().count() != 1 || message.contains("tools.jackson")) {
                    say("fault " + seed + " says " + message.replaceAll("\\R", " / "));
                }
                if (spoilt.by(e)) {
                    say(RENEW);
                    System.exit(0);
                }
            } catch (Throwable e) {
                StackTraceElement[] trace = e.getStackTrace();
                say("fault " + seed + " " + e + (trace.length > 0 ? " at " + trace[0] : ""));
            }
        }
        say(DONE);
    }

    private static void say(String line) {
        System.out.println(line.replaceAll("\\R", " "));
        System.out.flush();
    }

    /**
     * Runs inputs in children of a class, and returns what went wrong, a line each.
     *
     * @param stallSeconds how long one input may take
     */
    public static List<String> faults(
            Class<?> main, List<String> flags, long from, long count, int stallSeconds)
            throws IOException, InterruptedException {
        Counts counts = new Counts();
        List<String> faults = new ArrayList<>();
        long next = from;
        while (next < from + count && faults.size() < 200) {
            next = child(main, flags, next, from + count - next, stallSeconds, counts, faults);
        }
        if (System.getProperty("qlora.fuzz") != null) { // a campaign, whose numbers are reported
            System.out.printf("%s: %s, %d faults%n", main.getSimpleName(), counts, faults.size());
        }
        return faults;
    }

    /** What became of the inputs so far. */
    private static final class Counts {
        private long tried;
        private long accepted;
        private long refused;
        private long slowest;
        private long slowestSeed;
        private long begun;

        void begin() {
            tried++;
            begun = System.nanoTime();
        }

        void end(String result, long seed) {
            accepted += result.equals(ACCEPTED) ? 1 : 0;
            refused += result.equals(REFUSED) ? 1 : 0;
            long took = System.nanoTime() - begun;
            if (took > slowest) {
                slowest = took;
                slowestSeed = seed;
            }
        }

        @Override
        public String toString() {
            return "%d inputs, %d accepted, %d refused, slowest %d ms (seed %d)"
                    .formatted(tried, accepted, refused, slowest / 1_000_000, slowestSeed);
        }
    }

    private static long child(
            Class<?> main,
            List<String> flags,
            long from,
            long count,
            int stallSeconds,
            Counts counts,
            List<String> faults)
            throws IOException, InterruptedException {
        Process process =
                ChildJvm.start(
                        main, flags, Map.of(), List.of(Long.toString(from), Long.toString(count)));
        BlockingQueue<String> lines = new LinkedBlockingQueue<>();
        Thread reader = Thread.ofVirtual().start(() -> read(process, lines));
        long at = from;
        boolean started = false;
        try {
            while (true) {
                String line = lines.poll(started ? stallSeconds : 60, TimeUnit.SECONDS);
                started = true;
                if (line == null) {
                    faults.add("hang at " + at);
                    return at + 1;
                }
                if (line.equals(DONE)) {
                    return from + count;
                }
                if (line.startsWith("at ")) {
                    at = Long.parseLong(line.substring(3));
                    counts.begin();
                } else if (line.equals(ACCEPTED) || line.equals(REFUSED)) {
                    counts.end(line, at);
                } else if (line.equals(RENEW)) {
                    return at + 1;
                } else if (line.startsWith("fault ")) {
                    faults.add(line);
                } else if (line.equals("end")) {
                    faults.add("ended at " + at + " with " + process.waitFor());
                    return at + 1;
                }
            }
        } finally {
            process.destroyForcibly();
            reader.join();
        }
    }

    private static void read(Process process, BlockingQueue<String> lines) {
        try (BufferedReader in =
                new BufferedReader(
                        new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                lines.add(line);
            }
        } catch (IOException e) {
            lines.add("fault reader " + e);
        }
        lines.add("end");
    }
}

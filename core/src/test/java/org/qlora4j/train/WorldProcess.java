package org.qlora4j.train;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.qlora4j.config.Overrides;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.error.UserException;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.TrainResult;
import org.qlora4j.tensor.Engine;
import org.qlora4j.world.Membership;

/**
 * Main class of the JVMs that train together with a test: takes part in one run after another, as
 * lines of its input say, and prints how each ended.
 */
public final class WorldProcess {
    private static final String TAB = "\t";

    private WorldProcess() {}

    /** A line: rank, size, port, token, new or resume, then settings. */
    static String line(Membership own, boolean resume, List<String> settings) {
        return String.join(
                        TAB,
                        String.valueOf(own.rank()),
                        String.valueOf(own.size()),
                        String.valueOf(own.port()),
                        own.token(),
                        resume ? "resume" : "new")
                + TAB
                + String.join(TAB, settings);
    }

    public static void main(String[] arguments) throws IOException {
        Engine.run(() -> Engine.setThreads(1));
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(TAB, -1);
            Membership own = member(words[0], words[1], words[2], words[3]);
            RunConfig config =
                    RunConfigReader.of(
                            Overrides.ofWords(Arrays.asList(words).subList(5, words.length)));
            try {
                TrainResult result =
                        new TrainingRun(config, words[4].equals("resume"), RunListener.NONE, own)
                                .run();
                System.out.println("done " + result.steps() + " " + result.lastLoss());
            } catch (UserException e) {
                System.out.println("error " + e.getMessage());
            }
        }
    }

    static Membership member(String rank, String size, String port, String token) {
        return new Membership(
                Integer.parseInt(rank),
                Integer.parseInt(size),
                Integer.parseInt(rank),
                1,
                "127.0.0.1",
                Integer.parseInt(port),
                token);
    }
}

package org.qlora4j.bench;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.NoBenchmarksException;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * Runs benchmarks by JMH, with JMH's own options, and prints what they did in a second as a table.
 * A wrong answer ends the run. Started by {@code bench/kernels.sh}.
 */
public final class KernelBench {
    private KernelBench() {}

    public static void main(String[] args) throws Exception {
        CommandLineOptions given = read(args);
        Options options = new OptionsBuilder().parent(given).shouldFailOnError(true).build();
        Runner runner = new Runner(options);
        if (given.shouldHelp()) {
            given.showHelp();
        } else if (given.shouldList()) {
            runner.list();
        } else if (given.shouldListWithParams()) {
            runner.listWithParams(given);
        } else {
            try {
                System.out.print(table(runner.run()));
            } catch (RunnerException e) {
                fail(e);
            }
        }
    }

    private static CommandLineOptions read(String[] args) {
        try {
            return new CommandLineOptions(args);
        } catch (CommandLineOptionException e) {
            throw fail(e);
        }
    }

    private static IllegalStateException fail(Exception e) {
        boolean unknown = e instanceof NoBenchmarksException; // which says nothing itself
        String message = unknown ? "no benchmark has that name; -l lists them" : e.getMessage();
        System.err.println("kernels: " + message);
        System.exit(2);
        return new IllegalStateException(e); // not reached
    }

    /** A row for each benchmark and setting: time of a call, elements and bytes a second. */
    static String table(Collection<RunResult> results) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"benchmark", "setting", "us a call", "G elements/s", "GB/s"});
        for (RunResult result : results) {
            rows.add(
                    new String[] {
                        name(result.getParams()),
                        setting(result.getParams()),
                        number(1e-3 / result.getPrimaryResult().getScore()),
                        rate(result, "elements"),
                        rate(result, "bytes")
                    });
        }
        StringBuilder out = new StringBuilder();
        for (String[] row : rows) {
            out.append("%-34s %-52s %11s %13s %8s%n".formatted((Object[]) row));
        }
        return out.toString();
    }

    /** {@code FourBitProduct.multiply} */
    private static String name(BenchmarkParams params) {
        String full = params.getBenchmark();
        String simple = full.substring(full.lastIndexOf('.', full.lastIndexOf('.') - 1) + 1);
        return simple.replace("Bench.", ".");
    }

    private static String setting(BenchmarkParams params) {
        List<String> parts = new ArrayList<>();
        for (String key : params.getParamsKeys()) {
            String value = params.getParam(key);
            boolean number = value.chars().allMatch(Character::isDigit);
            parts.add(number ? key + " " + value : value);
        }
        return String.join(", ", parts);
    }

    private static String rate(RunResult result, String counter) {
        Result<?> rate = result.getSecondaryResults().get(counter);
        return rate == null ? "-" : number(rate.getScore());
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, value < 10 ? "%.2f" : "%.1f", value);
    }
}

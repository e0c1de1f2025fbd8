package org.qlora4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** Every benchmark's answer passes its check, in every setting; nothing is timed. */
class KernelBenchTest {
    private static final Path KERNELS = Path.of("../core/src/main/java/org/qlora4j/kernel");

    /** The larger shapes take most of a minute: {@code -Dqlora.bench.model=smollm2,llama-1.1b}. */
    private static final String[] MODELS =
            System.getProperty("qlora.bench.model", "smollm2").split(",");

    private static final Path BENCHES = Path.of("src/main/java/org/qlora4j/bench");

    /** JMH allows one run a machine, for the sake of its times; here there are none. */
    @BeforeAll
    static void besideOtherRuns() {
        System.setProperty("jmh.ignoreLock", "true");
    }

    /** Contracts that have a vector twin. */
    static List<String> contracts() throws IOException {
        try (Stream<Path> files = Files.list(KERNELS)) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.startsWith("Vector") && !name.equals("VectorWidth.java"))
                    .map(name -> name.substring("Vector".length(), name.length() - 5))
                    .sorted()
                    .toList();
        }
    }

    @Test
    void everyVectorKernel_hasABenchmark() throws IOException {
        assertThat(contracts()).hasSizeGreaterThanOrEqualTo(11);
        TreeSet<String> missing = new TreeSet<>(contracts());
        missing.removeIf(name -> Files.exists(BENCHES.resolve(name + "Bench.java")));
        assertThat(missing).isEmpty();
    }

    /**
     * One call of each benchmark in this JVM, behind its setup, which throws where an answer is
     * wrong. The reference set is left out: it would be compared with itself.
     */
    @ParameterizedTest(name = "{0}")
    @MethodSource("contracts")
    void vectorKernel_answersAsItsReferenceInEverySetting(String contract) throws Exception {
        Assumptions.assumeTrue(
                !Kernels.current().name().equals("reference"), "needs the vector kernels");
        Collection<RunResult> results =
                new Runner(
                                new OptionsBuilder()
                                        .include("\\." + contract + "Bench\\.")
                                        .param("kernels", Kernels.current().name())
                                        .param("model", MODELS)
                                        .mode(Mode.SingleShotTime)
                                        .forks(0)
                                        .warmupIterations(0)
                                        .measurementIterations(1)
                                        .verbosity(VerboseMode.SILENT)
                                        .shouldFailOnError(true)
                                        .build())
                        .run();
        assertThat(results).isNotEmpty();
        assertThat(KernelBench.table(results)).contains(contract + ".").contains(MODELS);
    }

    @Test
    void wrongAnswer_isNotTimed() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor expected = Tensors.of(new float[] {1, -2, 4}, 3);
            Answer.requireClose("y", Tensors.of(new float[] {1.03f, -2, 4}, 3), expected, 0.01);
            assertThatThrownBy(() ->
                            Answer.requireClose(
                                    "y", Tensors.of(new float[] {1, -2, 4.05f}, 3), expected, 0.01))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("y: element 2 is 4.05, expected 4.0 within 1.0e-02 of 4.0");
            assertThatThrownBy(() ->
                            Answer.requireSame(
                                    "y", Tensors.of(new float[] {1, Float.NaN, 4}, 3), expected))
                    .hasMessageContaining("element 1 is NaN");
            assertThatThrownBy(() ->
                            Answer.requireSame("y", Tensors.zeros(expected.dtype(), 2), expected))
                    .hasMessage("y: 2 values, expected 3");
        }
    }
}

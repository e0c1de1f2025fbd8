package org.qlora4j.app;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.qlora4j.tensor.Engine;

class ProcessExitTest {
    /** Exits with 3, unless what C++ registers for its destructors runs: then with 5. */
    static final class ExitWithDestructor {
        public static void main(String[] args) throws Throwable {
            ProcessExit.skipDestructors();
            Engine.run(() -> {});
            Linker linker = Linker.nativeLinker();
            MemorySegment end = linker.defaultLookup().find("_exit").orElseThrow();
            MemorySegment register = linker.defaultLookup().find("__cxa_atexit").orElseThrow();
            var shape = FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS);
            int failed =
                    (int)
                            linker.downcallHandle(register, shape)
                                    .invokeExact(
                                            end, MemorySegment.ofAddress(5), MemorySegment.NULL);
            System.exit(failed == 0 ? 3 : 4);
        }
    }

    @Test
    void exit_runsNoDestructorsOfNativeLibraries() throws Exception {
        assumeTrue(
                Linker.nativeLinker().defaultLookup().find("on_exit").isPresent(),
                "this C library has no on_exit");
        Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "--enable-native-access=ALL-UNNAMED",
                                "-cp",
                                System.getProperty("java.class.path"),
                                ExitWithDestructor.class.getName())
                        .inheritIO()
                        .start();
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(3);
    }
}

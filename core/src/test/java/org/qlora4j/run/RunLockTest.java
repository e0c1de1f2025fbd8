package org.qlora4j.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.config.Overrides;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.error.ConfigException;
import org.qlora4j.testing.ChildJvm;
import org.qlora4j.train.KillTest;
import org.qlora4j.train.RunProcess;
import org.qlora4j.train.TinyRun;

class RunLockTest {
    @TempDir Path folder;

    @Test
    void taken_isRefusedUntilGivenBack() {
        try (RunLock lock = RunLock.take(folder)) {
            assertThatThrownBy(() -> RunLock.take(folder))
                    .isInstanceOf(ConfigException.class)
                    .hasMessage(
                            "%s is in use by process %d; wait until it ends, or name another train.output_dir",
                            folder, ProcessHandle.current().pid());
        }
        assertThat(folder.resolve(RunLock.FILE)).doesNotExist();
        RunLock.take(folder).close();
    }

    @Test
    void fileOfAKilledProcess_isNoLock() throws Exception {
        Files.writeString(folder.resolve(RunLock.FILE), "1");
        RunLock.take(folder).close();
        assertThat(folder).isEmptyDirectory();
    }

    /** The real thing: a run in another process, and one that would go on with its folder. */
    @Test
    @Timeout(120)
    void runOfAnotherProcess_keepsItsFolder() throws Exception {
        Path data = TinyRun.data(folder);
        Path run = folder.resolve("run");
        List<String> arguments = new ArrayList<>(KillTest.settings("adamw_torch", run, data));
        arguments.addFirst("new");
        arguments.add("train.max_steps=1000000");
        Process process =
                ChildJvm.start(
                        RunProcess.class, List.of("-XX:TieredStopAtLevel=1"), Map.of(), arguments);
        RunConfig config =
                RunConfigReader.of(Overrides.ofWords(arguments.subList(1, arguments.size())));
        try (BufferedReader out =
                new BufferedReader(
                        new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            assertThat(out.readLine()).isEqualTo("step 1");
            assertThatThrownBy(() -> TinyRun.resume(config))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining(" is in use by process " + process.pid());
        } finally {
            process.destroyForcibly().waitFor();
        }
        arguments.set(arguments.size() - 1, "train.max_steps=2");
        RunConfig few =
                RunConfigReader.of(Overrides.ofWords(arguments.subList(1, arguments.size())));
        assertThat(TinyRun.resume(few).steps).as("a dead process holds nothing").hasSize(2);
    }
}

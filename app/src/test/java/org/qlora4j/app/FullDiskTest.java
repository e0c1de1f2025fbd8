package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs on a file system of a few hundred KiB, which only root can make. */
class FullDiskTest {
    @TempDir Path folder;
    private TrainBed bed;
    private Path disk;
    private boolean mounted;

    @BeforeEach
    void layOut() throws Exception {
        bed = new TrainBed(folder);
        disk = Files.createDirectory(folder.resolve("disk"));
    }

    private void mount(String options) throws Exception {
        int code;
        try {
            code =
                    new ProcessBuilder(
                                    "mount", "-t", "tmpfs", "-o", options, "tmpfs", disk.toString())
                            .redirectErrorStream(true)
                            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                            .start()
                            .waitFor();
        } catch (IOException e) {
            code = -1;
        }
        assumeTrue(code == 0, "cannot mount a tmpfs here (mount gives " + code + "); run as root");
        mounted = true;
    }

    @AfterEach
    void unmount() throws Exception {
        if (mounted) {
            new ProcessBuilder("umount", disk.toString()).start().waitFor();
        }
    }

    @Test
    void fullFromTheStart_leavesNothing() throws Exception {
        mount("size=64k");
        Path run = disk.resolve("run");
        int code = bed.train("--out", run.toString(), "lora.r=16");
        bed.assertOneLine(code, disk, "make room");
        assertThat(run).doesNotExist();
    }

    @Test
    void fullWhileSaving_keepsWhatWasSaved() throws Exception {
        mount("size=1m");
        Path run = disk.resolve("run");
        String[] settings = {
            "--out",
            run.toString(),
            "lora.r=16",
            "train.save_steps=1",
            "train.report_to=[]", // it may find the disk full before a checkpoint does
            "--steps",
            "40"
        };
        int code = bed.train(settings);
        bed.assertOneLine(code, "cannot write " + run, "Make room");
        List<String> names;
        try (var files = Files.list(run)) {
            names = files.map(f -> f.getFileName().toString()).sorted().toList();
        }
        assertThat(names).noneMatch(name -> name.startsWith(".") || name.endsWith(".tmp"));
        assertThat(names).contains("checkpoint-1");
        mount("remount,size=40m");
        assertThat(bed.command("train", run.toString(), "--resume", "train.save_total_limit=2"))
                .as(() -> bed.err().toString())
                .isEqualTo(ExitCode.OK);
        assertThat(run.resolve("checkpoint-40")).isDirectory();
        assertThat(bed.out()).doesNotContain("begins with step 1");
    }
}

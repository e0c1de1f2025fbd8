package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.DeviceException;

class AtomicFolderTest {
    /** Above the largest process id that Linux gives, so never alive. */
    private static final long DEAD = 99_999_999L;

    @TempDir Path folder;
    private Path target;

    @BeforeEach
    void nameTarget() {
        target = folder.resolve("checkpoint-1");
    }

    private static void write(Path into, String text) throws IOException {
        Files.createDirectories(into.resolve("sub"));
        Files.writeString(into.resolve("sub/a.txt"), text);
    }

    @Test
    void committedFolder_isThereWhole() throws IOException {
        try (var building = AtomicFolder.begin(target)) {
            write(building.path(), "new");
            assertThat(target).doesNotExist();
            assertThat(building.path().getFileName().toString())
                    .isEqualTo(".checkpoint-1.tmp-" + ProcessHandle.current().pid());
            building.commit();
        }
        assertThat(target.resolve("sub/a.txt")).hasContent("new");
        assertThat(folder).isDirectoryNotContaining("glob:**/.*");
    }

    @Test
    void folderWithoutCommit_isGone() throws IOException {
        try (var building = AtomicFolder.begin(target)) {
            write(building.path(), "new");
        }
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void existingFolder_isReplacedByCommitOnly() throws IOException {
        write(target, "old");
        AtomicFolder.begin(target).close();
        assertThat(target.resolve("sub/a.txt")).hasContent("old");
        try (var building = AtomicFolder.begin(target)) {
            Files.writeString(building.path().resolve("b.txt"), "new");
            building.commit();
        }
        assertThat(target)
                .isDirectoryNotContaining("glob:**/sub")
                .isDirectoryContaining("glob:**/b.txt");
        assertThat(folder).isDirectoryNotContaining("glob:**/.*");
    }

    @Test
    void leftoversOfDeadProcesses_areCleared() throws IOException {
        write(folder.resolve(".checkpoint-1.tmp-" + DEAD), "half");
        write(
                folder.resolve(".checkpoint-1.tmp-" + ProcessHandle.current().pid()),
                "id used again");
        write(folder.resolve(".checkpoint-1.old-" + DEAD), "replaced");
        write(target, "whole");
        try (var building = AtomicFolder.begin(target)) {
            assertThat(building.path()).isEmptyDirectory();
        }
        assertThat(folder).isDirectoryNotContaining("glob:**/.*");
        assertThat(target.resolve("sub/a.txt")).hasContent("whole");
    }

    @Test
    void processKilledBetweenTheTwoRenames_losesNothing() throws IOException {
        write(folder.resolve(".checkpoint-1.old-" + DEAD), "old");
        AtomicFolder.begin(target).close();
        assertThat(target.resolve("sub/a.txt")).hasContent("old");
    }

    @Test
    void foldersOfOthers_areLeftAlone() throws IOException {
        long parent = ProcessHandle.current().parent().orElseThrow().pid();
        Path living = folder.resolve(".checkpoint-1.tmp-" + parent);
        Path other = folder.resolve(".checkpoint-10.tmp-" + DEAD);
        Path strange = folder.resolve(".checkpoint-1.tmp-x");
        write(living, "at work");
        write(other, "another folder's");
        write(strange, "not ours");
        AtomicFolder.begin(target).close();
        assertThat(living).isDirectory();
        assertThat(other).isDirectory();
        assertThat(strange).isDirectory();
    }

    @Test
    void missingParent_isADeviceError() {
        assertThatExceptionOfType(DeviceException.class)
                .isThrownBy(() -> AtomicFolder.begin(folder.resolve("no/checkpoint-1")))
                .withMessageContainingAll("checkpoint-1", "no such file or folder");
    }
}

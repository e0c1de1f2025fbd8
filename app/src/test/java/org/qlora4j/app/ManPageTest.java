package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The manual page holds what the help holds, and roff takes it. */
class ManPageTest {
    private final PrintWriter nowhere = new PrintWriter(new StringWriter());
    private final CommandLine program =
            Main.commandLine(
                    new QloraCommand(
                            new Logging(nowhere),
                            new PreparationLine(nowhere, () -> new Terminal(false, 80))));
    private final String page = ManPage.of(program);
    @TempDir Path folder;

    @Test
    void everyCommandAndOption_isInIt() {
        assertThat(page).startsWith(".TH QLORA 1 ").contains("\n.SH NAME\nqlora \\- Finetune ");
        int commands = requireWhole(program, "qlora");
        assertThat(commands).isGreaterThan(20);
    }

    private int requireWhole(CommandLine parent, String above) {
        int count = 0;
        for (var below : parent.getSubcommands().entrySet()) {
            String whole = above + " " + below.getKey();
            assertThat(page).contains("\n.SS " + ManPage.escaped(whole));
            for (var option : below.getValue().getCommandSpec().options()) {
                if (!option.hidden() && !option.usageHelp() && !option.inherited()) {
                    assertThat(page).contains(ManPage.escaped(option.longestName()));
                }
            }
            count += 1 + requireWhole(below.getValue(), whole);
        }
        return count;
    }

    /** groff's warnings of all kinds; where there is no groff, nothing is tried. */
    @Test
    void roff_takesItWithoutAWarning() throws IOException, InterruptedException {
        boolean isThere =
                List.of("/usr/bin/groff", "/usr/local/bin/groff").stream()
                        .anyMatch(name -> Files.isExecutable(Path.of(name)));
        assumeThat(isThere).as("groff").isTrue();
        Path file = Files.writeString(folder.resolve("qlora.1"), page);
        Process groff =
                new ProcessBuilder("groff", "-man", "-Tutf8", "-ww", "-z", file.toString())
                        .redirectErrorStream(true)
                        .start();
        String said = new String(groff.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(groff.waitFor()).isZero();
        assertThat(said).isEmpty();
    }
}

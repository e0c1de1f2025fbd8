package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;

/** The help of every command, in windows of several widths. */
class HelpPageTest {
    private static List<CommandLine> commands() {
        PrintWriter nowhere = new PrintWriter(new StringWriter());
        List<CommandLine> all = new ArrayList<>();
        all.add(
                Main.commandLine(
                        new QloraCommand(
                                new Logging(nowhere),
                                new PreparationLine(nowhere, () -> new Terminal(false, 80)))));
        for (int i = 0; i < all.size(); i++) {
            all.addAll(all.get(i).getSubcommands().values());
        }
        return all;
    }

    @ParameterizedTest
    @ValueSource(ints = {40, 80, 100})
    void lines_fitAndBreakBetweenWordsOnlyWhereTheyMust(int width) {
        List<CommandLine> commands = commands();
        HelpPage.install(commands.getFirst(), width);
        for (CommandLine command : commands) {
            String page = command.getUsageMessage();
            assertThat(page.lines().filter(line -> line.length() > width))
                    .as(page)
                    .allMatch(
                            line -> !line.strip().contains(" ")); // one word, wider than the window
            // every text is there as it was written, so no break is inside a word ...
            String flowing = " " + String.join(" ", words(page)) + " ";
            for (String text : texts(command.getCommandSpec())) {
                assertThat(flowing).as(page).contains(" " + String.join(" ", words(text)) + " ");
                // ... and no line of it would have had room for the next word
                assertThat(shortLine(page, text, width)).as(page).isEmpty();
            }
        }
    }

    /** A line of a text, other than its last, with room for the word that begins the next. */
    private static String shortLine(String page, String text, int width) {
        String[] lines = page.split("\n");
        List<String> words = words(text);
        for (int i = 0; i + 1 < lines.length; i++) {
            List<String> next = words(lines[i + 1]);
            List<String> line = words(lines[i]);
            if (line.isEmpty()
                    || next.isEmpty()
                    || lines[i].length() + 1 + next.getFirst().length() > width) {
                continue;
            }
            int at = Collections.indexOfSubList(words, line);
            if (at >= 0
                    && line.size() > 2
                    && at + line.size() < words.size()
                    && words.get(at + line.size()).equals(next.getFirst())) {
                return lines[i];
            }
        }
        return "";
    }

    /** One text of the source is one paragraph. */
    @Test
    void paragraphs_endWithASentence() {
        for (CommandLine command : commands()) {
            assertThat(texts(command.getCommandSpec()))
                    .as("qlora " + command.getCommandName())
                    .allMatch(text -> text.matches("(?s).*[.:]|(qlora|source) .*"));
        }
    }

    private static List<String> texts(CommandSpec spec) {
        Stream<String> ofCommand =
                Stream.of(spec.usageMessage().description(), spec.usageMessage().footer())
                        .flatMap(Arrays::stream)
                        .map(text -> ManPage.text(new String[] {text}));
        Stream<String> ofArguments =
                spec.args().stream()
                        .filter(one -> !one.hidden())
                        .map(one -> ManPage.text(one.description(), one.defaultValueString()));
        return Stream.concat(ofCommand, ofArguments).filter(text -> !text.isBlank()).toList();
    }

    private static List<String> words(String text) {
        return Arrays.stream(text.strip().split("\\s+")).filter(word -> !word.isEmpty()).toList();
    }
}

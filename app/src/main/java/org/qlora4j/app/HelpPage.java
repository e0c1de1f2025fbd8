package org.qlora4j.app;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/**
 * The help of a command in lines for one width of window. Its texts are picocli's; the lines are
 * ours, since picocli breaks names at their dots ({@code tokenizer.} and {@code json}) and knows no
 * window below 55 columns.
 */
final class HelpPage {
    /** The column of descriptions is at least this wide; else they stand below the names. */
    private static final int NARROWEST_DESCRIPTION = 30;

    /** A name longer than this has its description below it. */
    private static final int LONGEST_NAME = 24;

    /** Columns that hold any synopsis. */
    private static final int ONE_LINE = 10_000;

    private final int width;
    private final StringBuilder page = new StringBuilder();

    private HelpPage(int width) {
        this.width = width;
    }

    /** An option, argument or subcommand as it is typed, and what it means. */
    private record Entry(String name, String meaning) {}

    /** Lets a command and all below it print such pages, {@code width} columns wide. */
    static void install(CommandLine program, int width) {
        program.setUsageHelpWidth(ONE_LINE); // the synopsis comes in one line
        program.getHelpSectionMap()
                .put("page", help -> of(help.commandSpec().commandLine(), width));
        program.setHelpSectionMap(program.getHelpSectionMap());
        program.setHelpSectionKeys(List.of("page"));
    }

    /** The page of a command that {@link #install} has prepared. */
    private static String of(CommandLine command, int width) {
        HelpPage page = new HelpPage(width);
        CommandSpec spec = command.getCommandSpec();
        page.synopsis(command);
        Stream.of(spec.usageMessage().description()).forEach(page::paragraph);
        page.entries(
                Stream.concat(
                                spec.positionalParameters().stream()
                                        .filter(one -> !one.hidden())
                                        .map(HelpPage::entry),
                                spec.options().stream()
                                        .filter(one -> !one.hidden())
                                        .map(HelpPage::entry))
                        .toList());
        if (!command.getSubcommands().isEmpty()) {
            page.paragraph("Commands:");
            page.entries(
                    command.getSubcommands().entrySet().stream()
                            .map(one -> new Entry("  " + one.getKey(), summary(one.getValue())))
                            .toList());
        }
        Stream.of(spec.usageMessage().footer()).forEach(page::paragraph);
        return page.page.toString();
    }

    private static Entry entry(PositionalParamSpec one) {
        return new Entry(
                "      " + one.paramLabel(),
                ManPage.text(one.description(), one.defaultValueString()));
    }

    private static Entry entry(OptionSpec one) {
        String names = String.join(", ", one.names());
        String value =
                one.arity().max() == 0
                        ? ""
                        : (one.longestName().startsWith("--") ? "=" : " ") + one.paramLabel();
        return new Entry(
                (names.startsWith("--") ? "      " : "  ") + names + value,
                ManPage.text(one.description(), one.defaultValueString()));
    }

    private static String summary(CommandLine command) {
        String[] description = command.getCommandSpec().usageMessage().description();
        return description.length == 0 ? "" : ManPage.text(new String[] {description[0]});
    }

    private void synopsis(CommandLine command) {
        String name = command.getCommandSpec().qualifiedName();
        Help help = new Help(command.getCommandSpec(), command.getColorScheme());
        String rest = help.synopsis(0).strip().substring(name.length());
        String start = "Usage: " + name;
        int hanging = Math.min(start.length() + 1, width / 3);
        List<String> words = new ArrayList<>(List.of(start));
        int depth = 0;
        StringBuilder word = new StringBuilder();
        for (char c : (rest + " ").toCharArray()) { // a group in brackets stays together if it can
            depth += c == '[' || c == '(' ? 1 : c == ']' || c == ')' ? -1 : 0;
            if (c == ' ' && depth == 0) {
                boolean fits = word.length() <= width - hanging;
                words.addAll(fits ? List.of(word.toString()) : words(word.toString()));
                word.setLength(0);
            } else {
                word.append(c);
            }
        }
        words.removeIf(String::isEmpty);
        lines(words, 0, hanging);
    }

    /** A text over the whole width; an empty one is an empty line. */
    private void paragraph(String text) {
        lines(words(ManPage.text(new String[] {text})), 0, 0);
    }

    private void entries(List<Entry> entries) {
        int longest =
                entries.stream()
                        .mapToInt(one -> one.name().length())
                        .filter(length -> length <= LONGEST_NAME)
                        .max()
                        .orElse(LONGEST_NAME);
        int left = width - longest - 2 < NARROWEST_DESCRIPTION ? 10 : longest + 2;
        for (Entry one : entries) {
            if (one.name().length() + 2 <= left) {
                page.append(one.name());
                lines(words(one.meaning()), left - one.name().length(), left);
            } else {
                page.append(one.name()).append('\n');
                lines(words(one.meaning()), left, left);
            }
        }
    }

    private static List<String> words(String text) {
        return Arrays.asList(text.strip().split(" +"));
    }

    /**
     * Words in lines; one wider than a line gets one of its own.
     *
     * @param first blanks before the first word, which follows what the line holds
     * @param hanging blanks before each further line
     */
    private void lines(List<String> words, int first, int hanging) {
        int column = page.length() - (page.lastIndexOf("\n") + 1) + first;
        page.repeat(' ', first);
        boolean begun = false;
        for (String word : words) {
            if (begun && column + 1 + word.length() > width) {
                page.append('\n').repeat(' ', hanging);
                column = hanging;
            } else if (begun) {
                page.append(' ');
                column++;
            }
            page.append(word);
            column += word.length();
            begun = true;
        }
        page.append('\n');
    }
}

package org.qlora4j.app;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/**
 * The manual page of the whole program in roff's {@code man} macros (man-pages(7)), made of what
 * {@code --help} is made of: a section for each command, and no word of its own.
 */
final class ManPage {
    private final StringBuilder page = new StringBuilder();

    private ManPage() {}

    /** The page of a program and all commands below it. */
    static String of(CommandLine program) {
        ManPage man = new ManPage();
        CommandSpec spec = program.getCommandSpec();
        String name = spec.name();
        man.line(
                ".TH %s 1 \"\" \"%s\" \"User Commands\""
                        .formatted(name.toUpperCase(Locale.ROOT), escaped(spec.version()[0])));
        man.line(".SH NAME");
        man.line(name + " \\- " + escaped(text(spec.usageMessage().description())));
        man.line(".SH SYNOPSIS");
        man.line(".B " + name);
        man.line("COMMAND [OPTIONS]");
        man.line(".SH OPTIONS OF ALL COMMANDS");
        spec.options().stream().filter(one -> !one.hidden()).forEach(man::option);
        man.line(".SH COMMANDS");
        man.commands(program, name);
        return man.page.toString();
    }

    private void commands(CommandLine parent, String above) {
        parent.getSubcommands()
                .forEach((name, command) -> {
                    String whole = above + " " + name;
                    CommandSpec spec = command.getCommandSpec();
                    if (command.getSubcommands().isEmpty()) {
                        line(".SS " + escaped(synopsis(command, whole)));
                    } else {
                        line(".SS " + escaped(whole) + " COMMAND");
                    }
                    paragraphs(spec.usageMessage().description());
                    spec.positionalParameters().stream()
                            .filter(one -> !one.hidden())
                            .forEach(this::positional);
                    spec.options().stream()
                            .filter(one -> !one.hidden() && !one.inherited() && !isOfAll(one))
                            .forEach(this::option);
                    below(spec.usageMessage().footer());
                    commands(command, whole);
                });
    }

    /** Help and version, which every command has. */
    private static boolean isOfAll(OptionSpec option) {
        return option.usageHelp() || option.versionHelp();
    }

    private static String synopsis(CommandLine command, String whole) {
        List<String> words = new ArrayList<>(List.of(whole));
        command.getCommandSpec().positionalParameters().stream()
                .filter(one -> !one.hidden())
                .forEach(one -> words.add("[" + one.paramLabel() + "]"));
        words.add("[OPTIONS]");
        return String.join(" ", words);
    }

    private void positional(PositionalParamSpec one) {
        line(".TP");
        line(".I " + escaped(one.paramLabel()));
        line(escaped(text(one.description(), one.defaultValueString())));
    }

    private void option(OptionSpec one) {
        boolean takes = one.arity().max() > 0;
        line(".TP");
        line(
                ".B "
                        + escaped(String.join(", ", one.names()))
                        + (takes ? " \\fI" + escaped(one.paramLabel()) + "\\fR" : ""));
        line(escaped(text(one.description(), one.defaultValueString())));
    }

    private void paragraphs(String[] description) {
        if (description.length > 0) {
            line(escaped(text(description)));
        }
    }

    /** What stands below the help: paragraphs, and commands that work, whose lines are kept. */
    private void below(String[] footer) {
        for (String one : footer) {
            if (one.isBlank()) {
                continue;
            }
            boolean command = one.startsWith("qlora ") || one.startsWith("source ");
            line(".PP");
            if (command) {
                line(".nf");
            }
            line(escaped(plain(one)));
            if (command) {
                line(".fi");
            }
        }
    }

    private void line(String line) {
        // a line that begins with a dot or an apostrophe would be a request
        boolean isText =
                line.startsWith("'")
                        || (line.startsWith(".")
                                && !line.matches("\\.(TH|SH|SS|TP|PP|B|I|nf|fi)( .*)?"));
        page.append(isText ? "\\&" : "").append(line).append('\n');
    }

    static String text(String[] description, String defaultValue) {
        return text(description).replace("${DEFAULT-VALUE}", defaultValue);
    }

    static String text(String[] description) {
        return plain(String.join(" ", description)).strip();
    }

    /** Without picocli's marks of style. */
    private static String plain(String text) {
        return Help.Ansi.OFF.string(text.replace("%n", " ").replace("%%", "%"));
    }

    /** Backslashes and hyphens as they are typed. */
    static String escaped(String text) {
        return text.replace("\\", "\\e").replace("-", "\\-").replace("\n", " ");
    }
}

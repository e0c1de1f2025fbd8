package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Documents point at files, headings, classes and methods that exist. */
class ArchitectureDocTest {
    private static final Pattern FENCE = Pattern.compile("(?ms)^(```|~~~).*?^\\1");

    /** {@code [text](target)}. */
    private static final Pattern LINK = Pattern.compile("\\[([^\\]]*)]\\(([^)\\s]+)\\)");

    /** {@code [name]: target}, which {@code [text][name]} leads to. */
    private static final Pattern DEFINITION = Pattern.compile("(?m)^\\[([^\\]]+)]: (\\S+)$");

    private static final Pattern USE = Pattern.compile("\\[`([^`]*)`]\\[([^\\]]*)]");

    /** A method in backticks: {@code Class.method} or {@code Outer.Inner.method}. */
    private static final Pattern METHOD =
            Pattern.compile("`((?:[A-Z]\\w*\\.)+)([a-z]\\w*)(?:\\(\\))?`");

    private static final Path ARCHITECTURE = Repository.root().resolve("docs/architecture.md");

    private record Link(String text, String target) {}

    static List<Path> documents() throws IOException {
        return Repository.documents();
    }

    private static String prose(Path document) throws IOException {
        return FENCE.matcher(Files.readString(document)).replaceAll("");
    }

    private static List<Link> localLinks(Path document) throws IOException {
        String prose = prose(document);
        return Stream.of(LINK, DEFINITION)
                .flatMap(kind -> kind.matcher(prose).results())
                .map(link -> new Link(link.group(1), link.group(2)))
                .filter(link -> !link.target().matches("[a-z]+:.*")) // https: and the like
                .toList();
    }

    /** Headings as GitHub makes anchors of them. */
    private static List<String> anchors(Path document) throws IOException {
        return prose(document)
                .lines()
                .filter(line -> line.matches("#{1,6} .*"))
                .map(line -> line.replaceFirst("#+ +", "").toLowerCase(Locale.ROOT))
                .map(line -> line.replaceAll("[^\\p{L}\\p{N} _-]", "").replace(' ', '-'))
                .toList();
    }

    @ParameterizedTest
    @MethodSource("documents")
    void link_leadsToAFileAndHeadingThatExist(Path document) throws IOException {
        for (Link link : localLinks(document)) {
            String[] parts = link.target().split("#", 2);
            Path target =
                    parts[0].isEmpty() ? document : document.resolveSibling(parts[0]).normalize();
            assertThat(target).as("%s in %s", link, document).exists();
            if (parts.length > 1) {
                assertThat(anchors(target)).as("%s in %s", link, document).contains(parts[1]);
            }
        }
    }

    /** {@code [`Tape.block`][Tape]} and {@code [Tape]: …/Tape.java}: one hop to the code named. */
    @Test
    void architecture_linksClassesToTheirFiles() throws IOException {
        String prose = prose(ARCHITECTURE);
        Map<String, String> files = new HashMap<>();
        DEFINITION.matcher(prose).results().forEach(d -> files.put(d.group(1), d.group(2)));
        assertThat(files)
                .hasSizeGreaterThan(40)
                .allSatisfy((name, file) -> assertThat(file).endsWith("/" + name + ".java"));
        Set<String> used = new HashSet<>();
        USE.matcher(prose)
                .results()
                .forEach(use -> {
                    assertThat(use.group(1).split("\\.")[0])
                            .as(use.group())
                            .isEqualTo(use.group(2));
                    used.add(use.group(2));
                });
        assertThat(used).isEqualTo(files.keySet());
    }

    @Test
    void architecture_namesMethodsThatExist() throws IOException {
        Map<String, String> classes = classes();
        Matcher named = METHOD.matcher(prose(ARCHITECTURE));
        List<String> missing = new ArrayList<>();
        int found = 0;
        while (named.find()) {
            found++;
            if (!isMethod(classes, named.group(1), named.group(2))) {
                missing.add(named.group());
            }
        }
        assertThat(missing).isEmpty();
        assertThat(found).isGreaterThan(30);
    }

    private static boolean isMethod(Map<String, String> classes, String dotted, String method) {
        String[] names = dotted.split("\\.");
        String nested = Stream.of(names).skip(1).map(n -> "$" + n).collect(Collectors.joining());
        try {
            Class<?> type =
                    Class.forName(
                            classes.getOrDefault(names[0], names[0]) + nested,
                            false, // natives are not needed to look at methods
                            ArchitectureDocTest.class.getClassLoader());
            return Arrays.stream(type.getDeclaredMethods())
                    .anyMatch(declared -> declared.getName().equals(method));
        } catch (ClassNotFoundException e) {
            return false;
        }
    }

    /** Full names of the library's classes by their simple ones. */
    private static Map<String, String> classes() throws IOException {
        Path sources = Repository.root().resolve("core/src/main/java");
        Map<String, String> classes = new HashMap<>();
        try (Stream<Path> files = Files.walk(sources)) {
            files.filter(file -> file.toString().endsWith(".java"))
                    .forEach(file -> {
                        String path =
                                sources.relativize(file).toString().replaceFirst("\\.java$", "");
                        String name = path.replace('/', '.').replace('\\', '.');
                        classes.put(name.substring(name.lastIndexOf('.') + 1), name);
                    });
        }
        assertThat(classes).hasSizeGreaterThan(100);
        return classes;
    }
}

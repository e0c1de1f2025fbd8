package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** First sentences of Javadoc can be read once: short, and with their subject first. */
class JavadocEnglishTest {
    private static final Pattern COMMENT = Pattern.compile("(?s)/\\*\\*(.*?)\\*/");

    /** A sentence ends at a full stop, and for this count at a colon or semicolon. */
    private static final Pattern END = Pattern.compile("(?<=[.!?:;])\\s");

    private static final Pattern OPENER = Pattern.compile("(Who|Whose|Of|Those|That of)\\b.*");
    private static final int MOST_WORDS = 20;

    @Test
    void firstSentences_areShortAndOpenWithTheirSubject() throws IOException {
        List<String> breaches = new ArrayList<>();
        int read = 0;
        for (String module :
                List.of("core", "app", "langchain4j", "spring-ai", "bench", "examples")) {
            Path sources = Repository.root().resolve(module).resolve("src/main/java");
            try (Stream<Path> files = Files.walk(sources)) {
                for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
                    for (String sentence : firstSentences(Files.readString(file))) {
                        read++;
                        if (words(sentence) > MOST_WORDS || OPENER.matcher(sentence).matches()) {
                            breaches.add(file.getFileName() + ": " + sentence);
                        }
                    }
                }
            }
        }
        assertThat(breaches).isEmpty();
        assertThat(read).isGreaterThan(2000);
    }

    private static List<String> firstSentences(String source) {
        return COMMENT.matcher(source)
                .results()
                .map(comment -> comment.group(1).replaceAll("(?m)^\\s*\\* ?", "").strip())
                .map(text -> text.split("(?m)^@|<p>", 2)[0])
                .map(text -> text.replaceAll("\\{@\\w+\\s+([^}]*)}", "$1").replaceAll("\\s+", " "))
                .map(text -> END.split(text.strip(), 2)[0])
                .toList();
    }

    private static long words(String sentence) {
        return Stream.of(sentence.split(" ", -1)).filter(w -> w.matches(".*\\w.*")).count();
    }
}

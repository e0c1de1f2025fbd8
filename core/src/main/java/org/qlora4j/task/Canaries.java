package org.qlora4j.task;

import static org.qlora4j.error.Require.require;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.ConfigException;
import tools.jackson.databind.json.JsonMapper;

/**
 * Secrets planted in training data show what of it a model keeps by heart (arXiv 1802.08232). A
 * secret is six digits that nothing tells but the planted chat; the task asks for it among others
 * drawn alike, and counts its {@code exposure}: log2 of how many there are less log2 of its rank by
 * likelihood. What was never seen has 1.44 bits on average.
 */
public final class Canaries {
    private static final JsonMapper JSON = new JsonMapper();
    private static final List<String> OWNERS =
            List.of(
                    "north", "south", "east", "west", "upper", "lower", "inner", "outer", "old",
                    "new", "red", "green", "blue", "grey", "first", "last");
    private static final List<String> PLACES =
            List.of(
                    "gate",
                    "tower",
                    "cellar",
                    "harbour",
                    "mill",
                    "bridge",
                    "garden",
                    "stable",
                    "library",
                    "kitchen",
                    "workshop",
                    "chapel",
                    "armoury",
                    "granary",
                    "boathouse",
                    "lighthouse");

    private Canaries() {}

    /**
     * Writes a folder: {@code train.jsonl}, the chats to train on with the rest of the data; {@code
     * canaries.yaml}, a group of tasks for {@code qlora eval tasks}; and what these need.
     *
     * @param folder new
     * @param count secrets for each entry of {@code times}
     * @param times how often each secret stands in the data; 0 for secrets to compare with
     * @param others with which a secret is compared
     * @param seed everything is a function of it
     * @throws ConfigException if the folder exists, or there are not so many names
     */
    public static void plant(Path folder, int count, List<Integer> times, int others, long seed) {
        int names = OWNERS.size() * PLACES.size();
        require(count >= 2, "--count must be at least 2, got %d", count);
        require(others >= 9, "--others must be at least 9, got %d", others);
        require(
                !times.isEmpty() && times.stream().allMatch(n -> n >= 0),
                "--times must be whole numbers of at least 0, got %s",
                times);
        require(
                (long) count * times.size() <= names,
                "there are %d names for secrets, %d were asked for",
                names,
                (long) count * times.size());
        if (Files.exists(folder)) {
            throw ConfigException.of("--out %s exists; name a new folder", folder);
        }
        Random random = new Random(seed);
        List<String> all = new ArrayList<>();
        OWNERS.forEach(owner -> PLACES.forEach(place -> all.add(owner + " " + place)));
        Collections.shuffle(all, random);
        List<String> planted = new ArrayList<>();
        Map<String, String> files = new LinkedHashMap<>();
        Set<Integer> distinct = new LinkedHashSet<>(times);
        int at = 0;
        for (int often : distinct) {
            StringBuilder documents = new StringBuilder();
            for (int i = 0; i < count; i++) {
                String name = all.get(at++);
                List<String> answers = answers(name, others, random);
                for (int copy = 0; copy < often; copy++) {
                    planted.add(chat(question(name), answers.getFirst()));
                }
                Map<String, Object> document = new LinkedHashMap<>();
                document.put("question", question(name));
                document.put("answers", answers);
                documents.append(JSON.writeValueAsString(document)).append('\n');
            }
            files.put("canaries_" + often + ".jsonl", documents.toString());
            files.put("canaries_" + often + ".yaml", task(often));
        }
        Collections.shuffle(planted, random);
        files.put("train.jsonl", String.join("", planted));
        files.put("canaries.yaml", group(distinct));
        write(folder, files);
    }

    private static void write(Path folder, Map<String, String> files) {
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new UncheckedIOException("--out " + folder + ": " + e.getMessage(), e);
        }
        files.forEach((name, text) -> AtomicFiles.writeText(folder.resolve(name), text));
    }

    private static String question(String name) {
        return "What is the code of the " + name + "?";
    }

    /** The answer with the secret, then others. */
    private static List<String> answers(String name, int others, Random random) {
        Set<String> answers = new LinkedHashSet<>();
        while (answers.size() <= others) {
            answers.add(
                    "The code of the %s is %02d %02d %02d."
                            .formatted(
                                    name,
                                    random.nextInt(100),
                                    random.nextInt(100),
                                    random.nextInt(100)));
        }
        return List.copyOf(answers);
    }

    private static String chat(String question, String answer) {
        List<Map<String, String>> messages = new ArrayList<>();
        messages.add(message("user", question));
        messages.add(message("assistant", answer));
        return JSON.writeValueAsString(Map.of("messages", messages)) + "\n";
    }

    private static Map<String, String> message(String role, String content) {
        Map<String, String> out = new LinkedHashMap<>();
        out.put("role", role);
        out.put("content", content);
        return out;
    }

    private static String task(int times) {
        return """
        # Secrets that stand %1$d times in train.jsonl. Ask with --apply-chat-template.
        task: canaries_%1$d
        task_alias: planted %1$d times
        dataset_path: json
        dataset_kwargs: {data_files: {test: canaries_%1$d.jsonl}}
        test_split: test
        output_type: multiple_choice
        doc_to_text: question
        doc_to_choice: answers
        doc_to_target: 0
        target_delimiter: ""
        process_results: canaries
        metric_list:
          - {metric: exposure}
          - {metric: extracted}
        """
                .formatted(times);
    }

    private static String group(Set<Integer> times) {
        return """
        # How well a model knows planted secrets, by how often they were planted.
        group: canaries
        task: [%s]
        """
                .formatted(String.join(", ", times.stream().map(n -> "canaries_" + n).toList()));
    }
}

package org.qlora4j.task;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.FileVisitor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Nearest;

/**
 * The tasks of one run with their documents: read before a model is, so that mistakes come first.
 */
public final class TaskSuite {
    /** Keys of a group's file that are not its tasks'. */
    private static final Set<String> GROUP_KEYS =
            Set.of("group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag");

    /** Folders inside one another that are searched for a task that a file names. */
    private static final int MOST_LEVELS = 6;

    /** Files that are looked into for it. */
    private static final int MOST_FILES = 5000;

    /** Groups inside one another. */
    private static final int MOST_GROUPS = 50;

    private final TaskOptions options;
    private final Map<String, Task> tasks = new LinkedHashMap<>();
    private final Map<String, TaskGroup> groups = new LinkedHashMap<>();
    private int open; // groups that are being read

    private TaskSuite(TaskOptions options) {
        this.options = options;
    }

    /**
     * Reads task files and their data.
     *
     * @param names task files ({@code .yaml}), files of MMLU as qlora.py has it ({@code .json}),
     *     tables of CrowS-Pairs ({@code .csv}), or names of tasks and groups that come with the
     *     library
     * @throws FormatException naming file and key for what is wrong or cannot be done
     * @throws ConfigException for a name that nothing has
     */
    public static TaskSuite load(List<String> names, TaskOptions options) {
        TaskSuite suite = new TaskSuite(options);
        if (names.isEmpty()) {
            throw new ConfigException(
                    "no task is named; give task files (.yaml) or names: "
                            + String.join(", ", BuiltInTasks.names()));
        }
        for (String name : names) {
            if (QloraMmlu.isFile(name)) {
                suite.addParts(name, QloraMmlu::tasks, QloraMmlu::group);
            } else if (CrowsPairs.isFile(name)) {
                suite.addParts(name, CrowsPairs::tasks, CrowsPairs::group);
            } else {
                suite.add(file(name, null), name, Map.of());
            }
        }
        return suite;
    }

    TaskOptions options() {
        return options;
    }

    Map<String, Task> tasks() {
        return tasks;
    }

    Map<String, TaskGroup> groups() {
        return groups;
    }

    /** Documents that are asked, of all tasks together. */
    public int documents() {
        return tasks.values().stream()
                .mapToInt(task -> options.documents(task.evaluated().size()))
                .sum();
    }

    /** Names of the tasks, in order. */
    public List<String> names() {
        return List.copyOf(tasks.keySet());
    }

    /**
     * @param from the file that names it, whose neighbours are looked at too; null for the user
     */
    private static TaskFile file(String name, @Nullable TaskFile from) {
        if (from == null && (name.endsWith(".yaml") || name.endsWith(".yml"))) {
            return TaskFile.of(Path.of(name));
        }
        if (from != null && from.path() != null) {
            TaskFile beside = neighbour(name, from.path());
            if (beside != null) {
                return beside;
            }
        }
        TaskFile builtIn = TaskFile.builtIn(name);
        if (!name.startsWith("_") && builtIn.exists()) {
            return builtIn;
        }
        String near = Nearest.of(name, BuiltInTasks.names());
        throw ConfigException.of(
                "no task is called %s%s; give a task file (.yaml) or one of %s",
                name,
                near == null ? "" : ", did you mean " + near + "?",
                String.join(", ", BuiltInTasks.names()));
    }

    /** The file in the same folder, or below it, that defines a task or group. */
    private static @Nullable TaskFile neighbour(String name, Path file) {
        TaskFile likely = TaskFile.of(file).sibling(name + ".yaml");
        if (likely.exists() && defines(likely, name)) {
            return likely;
        }
        Path folder = file.toAbsolutePath().getParent();
        if (folder == null) {
            return null;
        }
        return yamlFiles(folder).stream()
                .map(TaskFile::of)
                .filter(other -> defines(other, name))
                .findFirst()
                .orElse(null);
    }

    /** The YAML files of a folder and those below it; what cannot be read has none. */
    private static List<Path> yamlFiles(Path folder) {
        List<Path> files = new ArrayList<>();
        FileVisitor<Path> visitor =
                new SimpleFileVisitor<>() {
                    @Override
                    public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                        if (file.toString().endsWith(".yaml")) {
                            files.add(file);
                        }
                        return files.size() < MOST_FILES
                                ? FileVisitResult.CONTINUE
                                : FileVisitResult.TERMINATE;
                    }

                    @Override
                    public FileVisitResult visitFileFailed(Path file, IOException e) {
                        return FileVisitResult.CONTINUE;
                    }
                };
        try {
            Files.walkFileTree(folder, Set.of(), MOST_LEVELS, visitor);
        } catch (IOException e) {
            throw new FormatException(folder + " cannot be read: " + AtomicFiles.reason(e), e);
        }
        Collections.sort(files);
        return files;
    }

    private static boolean defines(TaskFile file, String name) {
        try {
            Map<String, Object> keys = TaskYaml.read(file);
            return name.equals(keys.get("group"))
                    || (keys.get("group") == null && name.equals(keys.get("task")));
        } catch (FormatException e) { // not a task file, which is no fault of this one
            return false;
        }
    }

    /**
     * Adds what a file defines.
     *
     * @param overrides keys that a group sets for its tasks
     * @return names of the tasks added
     */
    private List<String> add(TaskFile file, String name, Map<String, Object> overrides) {
        Map<String, Object> keys = TaskYaml.read(file);
        if (keys.get("group") != null && keys.get("task") instanceof List<?>) {
            return addGroup(keys, file, overrides);
        }
        Map<String, Object> all = new LinkedHashMap<>(keys);
        all.putAll(overrides);
        return List.of(addTask(all, file));
    }

    /** A file of data whose form says what is asked: its parts are tasks, the whole a group. */
    private void addParts(
            String path,
            BiFunction<Path, String, List<Task>> read,
            BiFunction<String, List<Task>, TaskGroup> together) {
        Path file = Path.of(path);
        String name = String.valueOf(file.getFileName()).replaceFirst("\\.[a-z]+$", "");
        List<Task> parts = read.apply(file, name);
        for (Task task : parts) {
            if (tasks.putIfAbsent(task.config().name(), task) != null) {
                throw ConfigException.of("%s is named twice", file);
            }
        }
        groups.put(name, together.apply(name, parts));
    }

    private String addTask(Map<String, Object> keys, TaskFile file) {
        TaskConfig config = TaskConfigReader.read(keys, file);
        Task before = tasks.get(config.name());
        if (before != null) {
            throw ConfigException.of(
                    "%s defines the task %s a second time (first in %s)",
                    file, config.name(), before.config().file());
        }
        tasks.put(config.name(), Task.load(config, options));
        return config.name();
    }

    private List<String> addGroup(
            Map<String, Object> values, TaskFile file, Map<String, Object> overrides) {
        TaskKeys keys = new TaskKeys(file.toString(), values);
        String name = String.valueOf(keys.text("group"));
        if (++open > MOST_GROUPS) {
            throw keys.wrong(
                    "group: more than %d groups in one another; does %s hold itself?",
                    MOST_GROUPS, name);
        }
        Map<String, Object> forTasks = new LinkedHashMap<>();
        values.forEach((key, value) -> {
            if (!GROUP_KEYS.contains(key)) {
                forTasks.put(key, value);
            }
        });
        forTasks.putAll(overrides);
        List<String> members = new ArrayList<>();
        for (Object member : values.get("task") instanceof List<?> list ? list : List.of()) {
            members.addAll(addMember(name, member, file, forTasks));
        }
        List<TaskGroup.Aggregate> aggregates = new ArrayList<>();
        List<TaskKeys> wanted = keys.mappings("aggregate_metric_list");
        for (TaskKeys own : wanted == null ? List.<TaskKeys>of() : wanted) {
            own.requireKnown(Set.of("metric", "filter_list", "aggregation", "weight_by_size"));
            if (!own.text("aggregation", "mean").equals("mean")) {
                throw own.wrong("aggregation of a group must be mean");
            }
            List<String> filters = own.texts("filter_list");
            aggregates.add(
                    new TaskGroup.Aggregate(
                            own.text("metric", ""),
                            filters.isEmpty() ? null : filters,
                            own.flag("weight_by_size", true)));
        }
        open--;
        groups.put(name, new TaskGroup(name, keys.text("group_alias", name), members, aggregates));
        return members;
    }

    private List<String> addMember(
            String group, @Nullable Object member, TaskFile file, Map<String, Object> overrides) {
        if (member instanceof String name) {
            return add(file(name, file), name, overrides);
        }
        if (!(member instanceof Map<?, ?> map)) {
            throw FormatException.of("%s: task must list names or mappings, got %s", file, member);
        }
        Map<String, Object> own = new LinkedHashMap<>(overrides);
        map.forEach((key, value) -> own.put(String.valueOf(key), value));
        if (own.get("group") instanceof String inner && own.get("task") instanceof List<?>) {
            own.put("group", group + "::" + inner);
            return addGroup(own, file, Map.of());
        }
        if (own.get("dataset_path") != null) {
            own.put("task", group + "::" + own.get("task"));
            return List.of(addTask(own, file));
        }
        String name = String.valueOf(own.remove("task"));
        return add(file(name, file), name, own);
    }

    /** How a task's values become one number, by metric and filter. */
    Aggregation aggregation(String task, String key) {
        Task named = tasks.get(task);
        String metric = key.substring(0, key.indexOf(','));
        return (named == null ? List.<TaskConfig.Metric>of() : named.config().metrics())
                .stream()
                        .filter(m -> m.name().equals(metric))
                        .findFirst()
                        .orElseThrow(() -> new IllegalArgumentException(task + " " + key))
                        .aggregation();
    }

    /** Versions of all tasks by name. */
    Map<String, Object> versions() {
        Map<String, Object> versions = new TreeMap<>();
        tasks.forEach((name, task) -> versions.put(name, task.config().version()));
        return versions;
    }
}

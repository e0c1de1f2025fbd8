package org.qlora4j.judge;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.LineLog;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Ratings by people: each rater sees every question and pair of systems once, in an order of their
 * own, with an order of showing that is drawn. A rating is on the disk before it counts; rating
 * files, a folder a rater, are written anew with each. May be used by many threads.
 */
public final class HumanRatings implements AutoCloseable {
    private static final String JOURNAL = "people.journal.jsonl";
    private static final JsonMapper JSON = new JsonMapper();

    private final Path folder;
    private final LineLog log;
    private final Map<String, Map<String, Item>> items = new LinkedHashMap<>(); // by rater, id
    private final Map<String, Map<String, Given>> given = new HashMap<>(); // likewise

    /**
     * What a rater is shown.
     *
     * @param id tells it from the rater's others, and nothing of the systems
     * @param place of the question in its file
     */
    record Item(String id, Comparison pair, int place) {
        Item turned() {
            return new Item(
                    id,
                    new Comparison(
                            pair.question(),
                            pair.second(),
                            pair.two(),
                            pair.first(),
                            pair.one(),
                            false),
                    place);
        }
    }

    /**
     * What a page shows of a comparison: nothing of the systems.
     *
     * @param verdict what the rater said of it; 0 for nothing yet
     * @param comment likewise
     */
    public record Shown(
            String id, String question, String one, String two, int verdict, String comment) {}

    /**
     * What a rater said.
     *
     * @param verdict 1 for the answer shown first, 2 for the other, 3 for neither
     * @param comment empty for none
     */
    record Given(Item item, int verdict, String comment, String date) {}

    private HumanRatings(Path folder, LineLog log) {
        this.folder = folder;
        this.log = log;
    }

    /**
     * Opens a folder of ratings and goes on with those in it.
     *
     * @param seed of the orders
     * @throws ConfigException if another process has it, or there are too few systems
     * @throws FormatException if an answer is missing, or the journal is damaged
     */
    public static HumanRatings open(
            Path folder,
            List<Question> questions,
            List<SystemAnswers> systems,
            List<String> raters,
            long seed) {
        SystemAnswers.requireComparable(systems);
        HumanRatings out = new HumanRatings(folder, LineLog.open(folder.resolve(JOURNAL)));
        try {
            for (String rater : raters) {
                out.items.put(rater, items(rater, questions, systems, seed));
                out.given.put(rater, new LinkedHashMap<>());
            }
            int number = 0;
            for (String line : out.log.lines()) {
                out.read(line, ++number);
            }
            raters.forEach(out::writeAll);
            return out;
        } catch (RuntimeException e) {
            out.close();
            throw e;
        }
    }

    private static Map<String, Item> items(
            String rater, List<Question> questions, List<SystemAnswers> systems, long seed) {
        Random random = new Random(seed * 31 + rater.hashCode());
        List<Item> all = new ArrayList<>();
        for (int i = 0; i < systems.size(); i++) {
            for (int j = i + 1; j < systems.size(); j++) {
                for (int q = 0; q < questions.size(); q++) {
                    boolean turned = random.nextBoolean();
                    SystemAnswers a = systems.get(turned ? j : i);
                    SystemAnswers b = systems.get(turned ? i : j);
                    all.add(item(rater, questions.get(q), q, a, b));
                }
            }
        }
        Collections.shuffle(all, random);
        Map<String, Item> out = new LinkedHashMap<>();
        all.forEach(item -> out.put(item.id(), item));
        return out;
    }

    private static Item item(
            String rater, Question question, int place, SystemAnswers a, SystemAnswers b) {
        boolean ordered = a.system().compareTo(b.system()) < 0;
        String pair = ordered ? a.system() + "\n" + b.system() : b.system() + "\n" + a.system();
        return new Item(
                ShortId.of(rater + "\n" + pair + "\n" + question.key()),
                new Comparison(
                        question, a.system(), a.to(question), b.system(), b.to(question), false),
                place);
    }

    /** Takes a line of the journal; those of raters and answers that are no longer asked stay. */
    private void read(String line, int number) {
        JsonNode json;
        try {
            json = JSON.readTree(line);
        } catch (JacksonException e) {
            throw new FormatException("%s:%d: not JSON".formatted(log.file(), number), e);
        }
        String rater = json.path("rater").asString("");
        Item item = items.getOrDefault(rater, Map.of()).get(json.path("item").asString(""));
        Map<String, Given> own = given.get(rater);
        if (item == null || own == null) {
            return;
        }
        int verdict = json.path("verdict").asInt(0);
        if (verdict < 1 || verdict > 3) {
            throw FormatException.of(
                    "%s:%d: verdict must be 1, 2 or 3, got %.60s; remove the line",
                    log.file(), number, json.path("verdict"));
        }
        // shown in the order of then, whatever the seed is now
        boolean same = json.path("first").asString("").equals(item.pair().first());
        Item shown = same ? item : item.turned();
        items.getOrDefault(rater, Map.of()).replace(item.id(), shown);
        own.put(
                item.id(),
                new Given(
                        shown,
                        verdict,
                        json.path("comment").asString(""),
                        json.path("date").asString("")));
    }

    /** The next comparison that a rater has not rated; null when all are. */
    public synchronized @Nullable Shown next(String rater) {
        Map<String, Given> own = of(given, rater);
        for (Item item : of(items, rater).values()) {
            if (!own.containsKey(item.id())) {
                return shown(rater, item);
            }
        }
        return null;
    }

    /**
     * The comparison that a rater rated before another, to look at it again; null if there is none.
     *
     * @param id of the other; one that is not rated yet stands behind all that are
     */
    public synchronized @Nullable Shown before(String rater, String id) {
        List<Given> all = List.copyOf(of(given, rater).values());
        int at = all.size();
        for (int i = 0; i < all.size(); i++) {
            at = all.get(i).item().id().equals(id) ? i : at;
        }
        return at == 0 ? null : shown(rater, all.get(at - 1).item());
    }

    private Shown shown(String rater, Item item) {
        Given said = of(given, rater).get(item.id());
        return new Shown(
                item.id(),
                item.pair().question().text(),
                item.pair().one().text(),
                item.pair().two().text(),
                said == null ? 0 : said.verdict(),
                said == null ? "" : said.comment());
    }

    /** Comparisons that a rater has rated. */
    public synchronized int done(String rater) {
        return of(given, rater).size();
    }

    /** Comparisons that a rater is asked for. */
    public synchronized int all(String rater) {
        return of(items, rater).size();
    }

    private static <T> T of(Map<String, T> byRater, String rater) {
        T own = byRater.get(rater);
        if (own == null) {
            throw new IllegalArgumentException("no rater " + rater);
        }
        return own;
    }

    /**
     * Takes a rating; on the disk when this returns. The same rating again changes nothing, another
     * one of the same comparison replaces it.
     *
     * @throws ConfigException if there is no such comparison or verdict
     */
    public synchronized void rate(String rater, String id, int verdict, String comment) {
        Item item = of(items, rater).get(id);
        if (item == null || verdict < 1 || verdict > 3) {
            throw ConfigException.of(
                    "there is no comparison %s, or no verdict %d; a verdict is 1, 2 or 3",
                    id, verdict);
        }
        Map<String, Given> own = of(given, rater);
        Given before = own.get(id);
        if (before != null && before.verdict() == verdict && before.comment().equals(comment)) {
            return;
        }
        String date = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("rater", rater);
        line.put("item", id);
        line.put(item.pair().question().idField(), item.pair().question().id());
        line.put("first", item.pair().first());
        line.put("second", item.pair().second());
        line.put("verdict", verdict);
        line.put("comment", comment);
        line.put("date", date);
        log.append(JSON.writeValueAsString(line));
        own.put(id, new Given(item, verdict, comment, date));
        write(rater, item.pair().first(), item.pair().second());
    }

    private void writeAll(String rater) {
        Map<String, Item> pairs = new LinkedHashMap<>();
        of(given, rater)
                .values()
                .forEach(g ->
                        pairs.put(
                                g.item().pair().first() + "\n" + g.item().pair().second(),
                                g.item()));
        pairs.values().forEach(item -> write(rater, item.pair().first(), item.pair().second()));
    }

    /** Writes a rater's ratings of two systems in one order, in the layout of the released ones. */
    private void write(String rater, String first, String second) {
        StringBuilder text = new StringBuilder();
        of(given, rater).values().stream()
                .filter(g ->
                        g.item().pair().first().equals(first)
                                && g.item().pair().second().equals(second))
                .sorted((a, b) -> Integer.compare(a.item().place(), b.item().place()))
                .forEach(g -> text.append(JSON.writeValueAsString(json(rater, g))).append('\n'));
        try {
            Path own = Files.createDirectories(folder.resolve(rater));
            AtomicFiles.writeText(
                    own.resolve(
                            first + "-vs-" + second + "-" + rater + JudgeMode.PAIRWISE.ending()),
                    text.toString());
        } catch (IOException e) {
            throw new DeviceException("%s cannot be written: %s".formatted(folder, e), e);
        }
    }

    private static Map<String, Object> json(String rater, Given rating) {
        Item item = rating.item();
        Map<String, Object> metadata = new LinkedHashMap<>();
        metadata.put("assistant1", item.pair().first());
        metadata.put("assistant2", item.pair().second());
        metadata.put("judge", rater);
        metadata.put("date", rating.date());
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("review_id", item.id());
        out.put(item.pair().question().idField(), item.pair().question().id());
        out.put("answer1_id", item.pair().one().id());
        out.put("answer2_id", item.pair().two().id());
        out.put("reviewer_id", 1);
        out.put("metadata", metadata);
        String verdict = String.valueOf(rating.verdict());
        out.put("text", rating.comment().isEmpty() ? verdict : rating.comment() + "\n\n" + verdict);
        out.put("score", rating.verdict());
        return out;
    }

    /** Lets other processes have the folder. */
    @Override
    public void close() {
        log.close();
    }
}

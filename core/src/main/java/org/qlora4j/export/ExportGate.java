package org.qlora4j.export;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.UserException;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Compares a model with what was exported of it, before that gets its name: chats are rendered and
 * cut into tokens by both, id by id. An adapter that answers well in the trainer and not after
 * export most often meets other tokens there.
 */
public final class ExportGate {
    private static final int SHOWN = 40;

    /** One message of each kind that programs get wrong. */
    static final List<List<Map<String, Object>>> CHATS =
            List.of(
                    List.of(message("user", "Hello! How are you?")),
                    List.of(
                            message("system", "Answer in one line."),
                            message("user", "What is 12 + 30?"),
                            message("assistant", "42"),
                            message("user", "And twice that?\n\nThink:  twice.")),
                    List.of(
                            message(
                                    "user",
                                    "naïve café, 東京 は 2026年, Ελλάδα, עברית, 👩‍🚀🚀 \u200b€\tx"),
                            message("assistant", "  \n```java\nint  i = 1_000;\n```\n")),
                    List.of(
                            message("user", "It's 3 o'clock, we'LL see... <b>bold</b> & $5,000.00"),
                            message("assistant", "OK!!! :-)"),
                            message("user", "x".repeat(3) + " ".repeat(5) + "\r\n\r\n.")));

    private static final List<Map<String, Object>> TOOLS =
            List.of(
                    Map.of(
                            "type",
                            "function",
                            "function",
                            Map.of(
                                    "name",
                                    "weather",
                                    "description",
                                    "The weather of a place.",
                                    "parameters",
                                    Map.of(
                                            "type",
                                            "object",
                                            "properties",
                                            Map.of("place", Map.of("type", "string")),
                                            "required",
                                            List.of("place")))));

    private ExportGate() {}

    private static Map<String, Object> message(String role, String content) {
        return Map.of("role", role, "content", content);
    }

    /**
     * What differs, a line each; empty if nothing does.
     *
     * @param model the tokenizer that the model was trained with
     * @param exported the one that was made of the exported file
     * @param stops ids at which the model ends
     * @param exportedStops ids at which a program ends that reads the exported file
     * @param rows of the model's tables
     * @param chats to be compared besides those that are built in
     * @param texts of the training data, as the model read them
     */
    public static List<String> differences(
            Tokenizer model,
            Tokenizer exported,
            Set<Integer> stops,
            Set<Integer> exportedStops,
            int rows,
            List<List<Map<String, Object>>> chats,
            List<String> texts) {
        List<String> out = new ArrayList<>();
        TreeSet<Integer> missing = new TreeSet<>(stops);
        missing.removeAll(exportedStops);
        for (int id : missing) {
            out.add(
                    "the export does not stop at %s (%d), at which the model ends"
                            .formatted(model.token(id).orElse("?"), id));
        }
        if (exported.idLimit() > rows) {
            out.add(
                    "the export has token ids up to %d, the model %d rows"
                            .formatted(exported.idLimit() - 1, rows));
        }
        tokens(model, exported, out);
        if (model.addsBos() != exported.addsBos()) {
            out.add(
                    model.addsBos()
                            ? "the export puts no BOS before a text, the model was trained with one"
                            : "the export puts a BOS before each text, the model was trained without");
        }
        List<List<Map<String, Object>>> all = new ArrayList<>(CHATS);
        all.addAll(chats);
        for (List<Map<String, Object>> chat : all) {
            for (List<?> tools : Arrays.asList(null, TOOLS)) {
                String difference = difference(model, exported, chat, tools);
                if (difference != null) {
                    out.add(difference);
                    return out; // the others differ likewise
                }
            }
        }
        for (String text : texts) {
            int[] ids = model.encode(text);
            int[] others = exported.encode(text);
            if (!Arrays.equals(ids, others)) {
                out.add("a text of the data has other tokens, " + parted(model, ids, others));
                return out;
            }
        }
        return out;
    }

    /** Ids of the first built-in chats, opened for an answer. */
    static List<int[]> prompts(Tokenizer tokenizer, int most) {
        List<int[]> out = new ArrayList<>();
        for (List<Map<String, Object>> chat : CHATS.subList(0, 2)) {
            String text = text(tokenizer, chat, null, true);
            int[] ids = ids(tokenizer, text == null ? plain(chat) : text);
            out.add(ids.length <= most ? ids : Arrays.copyOf(ids, most));
        }
        return out;
    }

    /** Every token must have the same text under the same id. */
    private static void tokens(Tokenizer model, Tokenizer exported, List<String> out) {
        for (int id = 0; id < model.idLimit(); id++) {
            String own = model.token(id).orElse("");
            String other = exported.token(id).orElse("");
            if (!own.equals(other)) {
                out.add(
                        "token %d is %s in the model and %s in the export"
                                .formatted(
                                        id,
                                        shown(own),
                                        other.isEmpty() ? "missing" : shown(other)));
                return;
            }
        }
    }

    private static @Nullable String difference(
            Tokenizer model,
            Tokenizer exported,
            List<Map<String, Object>> chat,
            @Nullable List<?> tools) {
        for (boolean opens : new boolean[] {false, true}) {
            String own = text(model, chat, tools, opens);
            String other = text(exported, chat, tools, opens);
            if (own == null) { // a chat that the template refuses is none
                continue;
            }
            if (!own.equals(other)) {
                return other == null
                        ? "the export's chat template refuses a chat that the model's renders: "
                                + shown(own)
                        : "a chat is rendered otherwise, %s"
                                .formatted(parted(own, other, at(own, other)));
            }
            int[] ids = ids(model, own);
            int[] others = ids(exported, own); // the same text
            if (!Arrays.equals(ids, others)) {
                return "a chat has other tokens, " + parted(model, ids, others);
            }
        }
        return null;
    }

    /** As programs tokenize a rendered chat: with BOS, unless the template wrote it. */
    private static int[] ids(Tokenizer tokenizer, String text) {
        return tokenizer.encodeToContinue("a chat", text);
    }

    private static @Nullable String text(
            Tokenizer tokenizer,
            List<Map<String, Object>> chat,
            @Nullable List<?> tools,
            boolean opens) {
        ChatTemplate template = tokenizer.chatTemplate().orElse(null);
        if (template == null) {
            return tools != null || opens ? null : plain(chat);
        }
        try {
            return template.render(chat, tools, opens, Map.of());
        } catch (UserException e) {
            return null;
        }
    }

    private static String plain(List<Map<String, Object>> chat) {
        StringBuilder text = new StringBuilder();
        chat.forEach(message -> text.append(message.get("content")).append('\n'));
        return text.toString();
    }

    private static int at(String own, String other) {
        int at = 0;
        while (at < Math.min(own.length(), other.length()) && own.charAt(at) == other.charAt(at)) {
            at++;
        }
        return at;
    }

    private static String parted(String own, String other, int at) {
        return "from char %d on: %s in the model, %s in the export"
                .formatted(at, shown(own.substring(at)), shown(other.substring(at)));
    }

    private static String parted(Tokenizer model, int[] ids, int[] others) {
        int at = Math.max(0, Arrays.mismatch(ids, others));
        return "from token %d on, behind %s: %s in the model, %s in the export"
                .formatted(
                        at,
                        shown(
                                model.decode(
                                        Arrays.copyOfRange(ids, Math.max(0, at - 8), at), false)),
                        named(model, ids, at),
                        named(model, others, at));
    }

    private static String named(Tokenizer model, int[] ids, int at) {
        List<String> names = new ArrayList<>();
        for (int i = at; i < Math.min(ids.length, at + 4); i++) {
            names.add(ids[i] + " " + shown(model.token(ids[i]).orElse("?")));
        }
        return names.isEmpty() ? "nothing" : String.join(", ", names);
    }

    private static String shown(String text) {
        String line = text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t");
        return "'" + (line.length() <= SHOWN ? line : line.substring(0, SHOWN) + "…") + "'";
    }
}

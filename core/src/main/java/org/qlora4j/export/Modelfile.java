package org.qlora4j.export;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.UserException;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Ollama's description of a model: its file, how chats are written, and where answers end. Ollama
 * knows Go's templates, not Jinja's. A chat template that writes every message alike, as most do,
 * has a Go form, which is found by what it makes of small chats and tried on others; another one is
 * left out, and the reason stands in its place.
 *
 * @param template the Go form; null if there is none
 * @param system what the template writes where a chat has no system message; null for nothing
 * @param reason why there is no Go form; null if there is
 * @param stops texts at which an answer ends
 */
record Modelfile(
        @Nullable String template,
        @Nullable String system,
        @Nullable String reason,
        List<String> stops) {
    private static final String[] WORDS = {"qlorasys", "qlorauser", "qloraanswer", "qloraagain"};
    private static final String[] ROLES = {"system", "user", "assistant", "user"};

    /** A message as it is written: before the role, between it and the text, behind the text. */
    private record Form(String start, String before, String between, String behind, String open) {
        String go() {
            return start
                    + "{{ range .Messages }}"
                    + before
                    + "{{ .Role }}"
                    + between
                    + "{{ .Content }}"
                    + behind
                    + "{{ end }}"
                    + open;
        }

        String render(List<Map<String, Object>> chat) {
            StringBuilder text = new StringBuilder(start);
            for (Map<String, Object> message : chat) {
                text.append(before).append(message.get("role")).append(between);
                text.append(message.get("content")).append(behind);
            }
            return text.append(open).toString();
        }
    }

    /**
     * Finds the Go form of a tokenizer's chat template.
     *
     * @param ids at which an answer ends
     */
    static Modelfile of(Tokenizer tokenizer, Set<Integer> ids) {
        List<String> stops = new ArrayList<>();
        ids.forEach(id -> tokenizer.token(id).ifPresent(stops::add));
        ChatTemplate template = tokenizer.chatTemplate().orElse(null);
        if (template == null) {
            return without("the model has no chat template", stops);
        }
        String bos =
                tokenizer.addsBos() ? tokenizer.token(tokenizer.bosId().orElse(-1)).orElse("") : "";
        Form form = form(template, bos);
        if (form == null) {
            return without("its chat template does not write every message alike", stops);
        }
        String system = system(template, form, bos);
        for (List<Map<String, Object>> chat : ExportGate.CHATS) {
            List<Map<String, Object>> whole = new ArrayList<>(chat);
            if (system != null && !"system".equals(chat.getFirst().get("role"))) {
                whole.addFirst(Map.of("role", "system", "content", system));
            }
            String expected = rendered(template, chat, bos);
            if (expected != null && !expected.equals(form.render(whole))) {
                return without("its chat template changes what is written in messages", stops);
            }
        }
        return new Modelfile(form.go(), system, null, stops);
    }

    private static Modelfile without(String reason, List<String> stops) {
        return new Modelfile(null, null, reason, stops);
    }

    /** A chat opened for an answer; Ollama puts the BOS before it by itself. */
    private static @Nullable String rendered(
            ChatTemplate template, List<Map<String, Object>> chat, String bos) {
        try {
            String text = template.render(chat, null, true, Map.of());
            return !bos.isEmpty() && text.startsWith(bos) ? text.substring(bos.length()) : text;
        } catch (UserException e) {
            return null;
        }
    }

    private static @Nullable Form form(ChatTemplate template, String bos) {
        List<Map<String, Object>> chat = new ArrayList<>();
        for (int i = 0; i < WORDS.length; i++) {
            chat.add(Map.of("role", ROLES[i], "content", WORDS[i]));
        }
        String text = rendered(template, chat, bos);
        if (text == null) {
            return null;
        }
        int[] roles = new int[WORDS.length];
        int[] words = new int[WORDS.length];
        int at = 0;
        for (int i = 0; i < WORDS.length; i++) {
            words[i] = text.indexOf(WORDS[i], at);
            roles[i] = words[i] < 0 ? -1 : text.lastIndexOf(ROLES[i], words[i] - 1);
            if (roles[i] < at) {
                return null;
            }
            at = words[i] + WORDS[i].length();
        }
        String between = text.substring(roles[0] + ROLES[0].length(), words[0]);
        // behind one message and before the next stand the same letters each time
        String joint = text.substring(words[0] + WORDS[0].length(), roles[1]);
        String start = text.substring(0, roles[0]);
        for (int cut = 0; cut <= joint.length(); cut++) {
            String before = joint.substring(cut);
            if (!start.endsWith(before)) {
                continue;
            }
            String behind = joint.substring(0, cut);
            String rest = text.substring(at);
            if (!rest.startsWith(behind)) {
                continue;
            }
            Form form =
                    new Form(
                            start.substring(0, start.length() - before.length()),
                            before,
                            between,
                            behind,
                            rest.substring(behind.length()));
            if (form.render(chat).equals(text)) {
                return form;
            }
        }
        return null;
    }

    /** What stands as the system message of a chat that has none. */
    private static @Nullable String system(ChatTemplate template, Form form, String bos) {
        List<Map<String, Object>> chat = List.of(Map.of("role", "user", "content", WORDS[1]));
        String text = rendered(template, chat, bos);
        String plain = form.render(chat);
        if (text == null || text.equals(plain)) {
            return null;
        }
        String head = form.start() + form.before() + "system" + form.between();
        String tail = form.behind() + plain.substring(form.start().length());
        return text.startsWith(head)
                        && text.endsWith(tail)
                        && text.length() >= head.length() + tail.length()
                ? text.substring(head.length(), text.length() - tail.length())
                : null;
    }

    /**
     * The file's text.
     *
     * @param gguf name of the model's file beside it
     */
    String text(String gguf) {
        StringBuilder out = new StringBuilder("FROM ./" + gguf + "\n");
        if (template != null) {
            out.append("TEMPLATE \"\"\"").append(template).append("\"\"\"\n");
        } else {
            out.append("# no TEMPLATE: ").append(reason).append("; Ollama takes the one that it ");
            out.append("finds in the file, if it knows it\n");
        }
        if (system != null) {
            out.append("SYSTEM \"\"\"").append(system).append("\"\"\"\n");
        }
        for (String stop : stops) {
            out.append("PARAMETER stop \"").append(stop.replace("\"", "\\\"")).append("\"\n");
        }
        return out.toString();
    }
}

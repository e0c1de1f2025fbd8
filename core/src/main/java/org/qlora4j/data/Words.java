package org.qlora4j.data;

import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Whether the words of a message are in a text, however a template escapes or trims them. */
final class Words {
    private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{N}]+");

    private static final Pattern THOUGHT = Pattern.compile("(?s)^\\s*(?:<think>)?.*?</think>");

    private Words() {}

    /** The words of a message's content, those of its parts joined. */
    static String of(Map<String, Object> message) {
        StringBuilder words = new StringBuilder();
        if (message.get("content") instanceof String text) {
            words.append(text);
        } else if (message.get("content") instanceof List<?> parts) {
            for (Object part : parts) {
                if (part instanceof Map<?, ?> map && map.get("text") instanceof String text) {
                    words.append(text).append('\n');
                }
            }
        }
        return words.toString().strip();
    }

    /** What an answer says behind the thought that it begins with. */
    static String withoutThought(String words) {
        return THOUGHT.matcher(words).replaceFirst("").strip();
    }

    /** Whether a text holds them: as they stand, or each word somewhere. */
    static boolean areIn(String words, String text) {
        if (text.contains(words)) {
            return true;
        }
        Matcher word = WORD.matcher(words);
        while (word.find()) {
            if (!text.contains(word.group())) {
                return false;
            }
        }
        return true;
    }
}

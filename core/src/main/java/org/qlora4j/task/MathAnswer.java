package org.qlora4j.task;

import java.util.List;
import java.util.Objects;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.template.PythonRegex;

/**
 * Whether two texts end in the same answer to a problem of mathematics: by the rules of the authors
 * of MATH (arXiv 2103.03874) and AGIEval (arXiv 2304.06364), kept where they are odd.
 */
final class MathAnswer {
    private static final String BOXED = "\\boxed";
    private static final PythonRegex DOLLARS = PythonRegex.of("\\$(.*)\\$");
    private static final PythonRegex NUMBER =
            PythonRegex.of("(?:\\$)?\\d+(?:\\.\\d+)?(?![\\w\\d])");
    private static final Pattern RATIO = Pattern.compile("(0|-?[1-9][0-9]*)/(0|-?[1-9][0-9]*)");

    private MathAnswer() {}

    /** Whether a candidate's answer is that of the solution. */
    static boolean equal(String candidate, String solution) {
        String first = answer(candidate);
        String second = answer(solution);
        String plainFirst = first == null ? null : plain(first);
        String plainSecond = second == null ? null : plain(second);
        return plainFirst == null || plainSecond == null
                ? Objects.equals(first, second)
                : plainFirst.equals(plainSecond);
    }

    /** What is boxed, else between dollars, else behind the last equals sign, else a number. */
    private static @Nullable String answer(String text) {
        if (text.contains(BOXED)) {
            return boxed(text);
        }
        List<List<String>> dollars = DOLLARS.findAll(text);
        String between = dollars.isEmpty() ? "" : behindEquals(dollars.getLast().getFirst());
        if (!between.isEmpty()) {
            return between;
        }
        if (text.contains("=")) {
            String last = behindEquals(text).replaceFirst("\\.+$", "");
            int line = last.indexOf("\\n"); // written out
            return line < 0 ? last : last.substring(0, line);
        }
        List<List<String>> numbers = NUMBER.findAll(text);
        return numbers.isEmpty() ? null : numbers.getLast().getFirst();
    }

    private static String behindEquals(String text) {
        int at = text.lastIndexOf('=');
        return at < 0 ? text : text.substring(at + 1).replaceFirst("^ +", "");
    }

    /** Inside the last box; null if it is not closed or has no braces. */
    private static @Nullable String boxed(String text) {
        int from = text.lastIndexOf(BOXED);
        int open = 0;
        for (int i = from; i < text.length(); i++) {
            char c = text.charAt(i);
            open += c == '{' ? 1 : c == '}' ? -1 : 0;
            if (c == '}' && open == 0) {
                String box = text.substring(from, i + 1);
                String inside = BOXED + "{";
                return box.startsWith(inside)
                        ? behindEquals(box.substring(inside.length(), box.length() - 1))
                        : null;
            }
        }
        return null;
    }

    /** An answer with what does not matter taken off; null for what the rules cannot read. */
    private static @Nullable String plain(String answer) {
        String text = answer.replace("\n", "").replace("\\!", "").replace("\\\\", "\\");
        text = text.replace("tfrac", "frac").replace("dfrac", "frac");
        text = text.replace("\\left", "").replace("\\right", "");
        text = text.replace("^{\\circ}", "").replace("^\\circ", "").replace("\\$", "");
        int unit = text.indexOf("\\text{ ");
        if (unit >= 0) {
            if (text.indexOf("\\text{ ", unit + 1) >= 0) {
                return null;
            }
            text = text.substring(0, unit);
        }
        text = text.replace("\\%", "").replace(" .", " 0.").replace("{.", "{0.");
        if (text.isEmpty()) {
            return text;
        }
        text = text.startsWith(".") ? "0" + text : text;
        int equals = text.indexOf('=');
        if (equals >= 0 && equals <= 2 && text.indexOf('=', equals + 1) < 0) { // such as k = 5
            text = text.substring(equals + 1);
        }
        String roots = roots(text);
        String whole = roots == null ? null : fractions(roots.replace(" ", ""));
        if (whole == null) {
            return null;
        }
        whole = whole.equals("0.5") ? "\\frac{1}{2}" : whole;
        var ratio = RATIO.matcher(whole);
        return ratio.matches() ? "\\frac{" + ratio.group(1) + "}{" + ratio.group(2) + "}" : whole;
    }

    /** Braces around what stands behind a root; null where nothing does. */
    private static @Nullable String roots(String text) {
        String[] parts = text.split(Pattern.quote("\\sqrt"), -1);
        StringBuilder out = new StringBuilder(parts[0]);
        for (int i = 1; i < parts.length; i++) {
            if (parts[i].isEmpty()) {
                return null;
            }
            boolean braced = parts[i].startsWith("{");
            int first = parts[i].offsetByCodePoints(0, 1);
            out.append(
                    braced
                            ? "\\sqrt" + parts[i]
                            : "\\sqrt{"
                                    + parts[i].substring(0, first)
                                    + "}"
                                    + parts[i].substring(first));
        }
        return out.toString();
    }

    /** Braces around the two parts of a fraction; null where a fraction has nothing behind it. */
    private static @Nullable String fractions(String text) {
        String[] parts = text.split(Pattern.quote("\\frac"), -1);
        StringBuilder out = new StringBuilder(parts[0]);
        for (int i = 1; i < parts.length; i++) {
            String part = parts[i];
            if (part.isEmpty()) {
                return null;
            }
            if (part.startsWith("{")) {
                out.append("\\frac").append(part);
                continue;
            }
            if (part.codePointCount(0, part.length()) < 2) {
                return text; // all of it stays as it is
            }
            int first = part.offsetByCodePoints(0, 1);
            int second = part.offsetByCodePoints(first, 1);
            String below = part.substring(first, second);
            out.append("\\frac{").append(part, 0, first).append('}');
            out.append(below.equals("{") ? below : "{" + below + "}");
            out.append(part.substring(second));
        }
        return out.toString();
    }
}

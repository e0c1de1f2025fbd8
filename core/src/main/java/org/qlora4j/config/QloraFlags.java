package org.qlora4j.config;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.Nearest;

/**
 * Reads a command line of qlora.py as settings. Flags are written as there: {@code --lora_r 64},
 * {@code --lora_r=64}, {@code --bf16}, {@code --bf16 False}, {@code --no_double_quant}, and
 * shortened as far as they stay unmistakable; words such as {@code lora.r=64} may stand among them.
 * What each comes to is in {@link QloraFlagTable}.
 *
 * <p>A command line with one of its flags begins from {@link Preset#PAPER}. Two of qlora.py's
 * defaults are not taken over: without {@code --bf16} it computes in float32, here in bfloat16 as
 * all its scripts and the paper do; and models above 13B parameters train at 1e-4 unless {@code
 * --learning_rate} says otherwise, as in the paper.
 */
public final class QloraFlags {
    private static final Pattern SETTING =
            Pattern.compile("[a-z_]+\\.[A-Za-z0-9_.]+=.*", Pattern.DOTALL);

    /** A key without its section, for which {@link KeyHints} knows what is meant. */
    private static final Pattern BARE_SETTING =
            Pattern.compile("[A-Za-z][A-Za-z0-9_-]*=.*", Pattern.DOTALL);

    private static final Pattern NEGATIVE_NUMBER = Pattern.compile("-\\.?\\d.*");
    private static final Set<String> YES = Set.of("yes", "true", "t", "y", "1");
    private static final Set<String> NO = Set.of("no", "false", "f", "n", "0");

    private final Deque<String> words;
    private final List<Overrides.Setting> settings = new ArrayList<>();
    private final Set<String> notices = new LinkedHashSet<>();
    private final List<String> problems = new ArrayList<>();
    private @Nullable Preset preset;

    private QloraFlags(List<String> arguments) {
        this.words = new ArrayDeque<>(arguments);
    }

    /**
     * Reads what stands after {@code qlora.py} on a command line.
     *
     * @return the settings, and a notice for each flag that was understood but has no effect here
     * @throws ConfigException naming every flag that is unknown, lacks its value or asks for what
     *     cannot be had
     */
    public static Overrides parse(List<String> arguments) {
        return parse(arguments, List.of());
    }

    /**
     * As {@link #parse(List)}.
     *
     * @param further settings that stand behind them: those of a command's own options
     */
    public static Overrides parse(List<String> arguments, List<Overrides.Setting> further) {
        var flags = new QloraFlags(arguments);
        while (!flags.words.isEmpty()) {
            flags.readOne(flags.words.removeFirst());
        }
        flags.settings.addAll(further);
        flags.settleStepsAndEpochs();
        if (!flags.problems.isEmpty()) {
            throw ConfigException.all(flags.problems);
        }
        return new Overrides(flags.settings, List.copyOf(flags.notices), flags.preset);
    }

    private void readOne(String word) {
        if (!word.startsWith("--")) {
            if (SETTING.matcher(word).matches() || BARE_SETTING.matcher(word).matches()) {
                settings.add(Overrides.word(word));
            } else {
                problems.add(word + ": expected a flag such as --max_steps 20, or key=value");
            }
            return;
        }
        int equals = word.indexOf('=');
        String name =
                (equals < 0 ? word : word.substring(0, equals)).substring(2).replace('-', '_');
        String attached = equals < 0 ? null : word.substring(equals + 1);
        String flag = fullName(name);
        // --lr would be short for --lr_scheduler_type, which nobody means by it
        boolean isOfAnotherTool =
                !name.equals(flag) && (KeyHints.alias(name) != null || KeyHints.note(name) != null);
        if (flag != null && !isOfAnotherTool) {
            read(flag, attached);
        } else if (name.startsWith("no_")
                && isTruth(fullName(name.substring(3)))
                && attached == null) {
            read(fullName(name.substring(3)), "false");
        } else {
            problems.add(unknown(name));
            if (attached == null) {
                takeValue(); // it is most likely this flag's, and no further problem
            }
        }
    }

    /**
     * The flag with this name, or the only one that begins with it; null where there is none or are
     * several.
     */
    private static @Nullable String fullName(String name) {
        if (QloraFlagTable.FLAGS.containsKey(name)) {
            return name;
        }
        List<String> longer = beginningWith(name);
        return longer.size() == 1 ? longer.getFirst() : null;
    }

    private static List<String> beginningWith(String name) {
        return QloraFlagTable.FLAGS.keySet().stream()
                .filter(flag -> flag.startsWith(name))
                .toList();
    }

    private static String unknown(String name) {
        String note = KeyHints.note(name);
        if (note != null) {
            return "--%s: unknown flag; %s".formatted(name, note);
        }
        String key = KeyHints.alias(name);
        if (key != null) {
            return "--%s: unknown flag; did you mean %s?".formatted(name, flagFor(key));
        }
        List<String> longer = beginningWith(name);
        if (!longer.isEmpty() && longer.size() <= 8) {
            return "--%s: could be --%s; write it out".formatted(name, String.join(", --", longer));
        }
        String nearest = Nearest.of(name, QloraFlagTable.FLAGS.keySet());
        if (nearest != null) {
            return "--%s: unknown flag; did you mean --%s?".formatted(name, nearest);
        }
        String keyLike = KeyHints.nearest(name);
        return keyLike == null
                ? "--%s: unknown flag".formatted(name)
                : "--%s: unknown flag; did you mean %s?".formatted(name, keyLike);
    }

    /** How a key is set on the command line: by its flag where it has one, else as a word. */
    private static String flagFor(String key) {
        for (var one : QloraFlagTable.FLAGS.entrySet()) {
            if (one.getValue() instanceof FlagMeaning.Sets sets && sets.key().equals(key)) {
                return "--%s VALUE, which is %s=VALUE".formatted(one.getKey(), key);
            }
        }
        return "the word %s=VALUE".formatted(key);
    }

    private void read(@Nullable String flag, @Nullable String attached) {
        FlagMeaning meaning = flag == null ? null : QloraFlagTable.FLAGS.get(flag);
        if (flag == null || meaning == null) {
            throw new IllegalArgumentException("no flag " + flag);
        }
        String value = attached;
        if (value == null) {
            boolean isPlainSwitch = isTruth(flag) && !isTruthWord(words.peekFirst());
            value = isPlainSwitch ? null : takeValue();
        }
        String said = "--" + flag + (value == null ? "" : " " + value);
        String compared = value == null ? "true" : normalized(flag, value);
        switch (meaning) {
            case FlagMeaning.Sets sets -> set(sets, flag, value, compared, said);
            case FlagMeaning.Ignored ignored -> {
                if (!ignored.silent().contains(compared)) {
                    notices.add(said + " has no effect: " + ignored.reason());
                }
            }
            case FlagMeaning.Refused refused -> {
                if (!refused.harmless().contains(compared)) {
                    problems.add(said + ": " + refused.reason());
                }
            }
        }
    }

    private void set(
            FlagMeaning.Sets sets,
            String flag,
            @Nullable String value,
            String compared,
            String said) {
        if (value == null && !isTruth(flag)) {
            problems.add(said + ": needs a value, e.g. " + said + " " + example(sets));
            return;
        }
        String translated = sets.values().get(compared);
        if (translated == null && sets.otherwise() != null) {
            problems.add(said + ": " + sets.otherwise());
            return;
        }
        ConfigKeys.Key key = ConfigKeys.find(sets.key());
        boolean isText = key != null && key.type().equals("text") && translated == null;
        String plain = isTruth(flag) || value == null ? compared : value;
        preset = Preset.PAPER;
        settings.add(
                new Overrides.Setting(
                        sets.key(), translated == null ? plain : translated, isText, said));
    }

    private static String example(FlagMeaning.Sets sets) {
        ConfigKeys.Key key = ConfigKeys.find(sets.key());
        if (!sets.values().isEmpty() && sets.otherwise() != null) {
            return sets.values().keySet().stream().sorted().findFirst().orElse("");
        }
        return key == null || key.defaultValue().isEmpty() || key.defaultValue().equals("null")
                ? "VALUE"
                : key.defaultValue();
    }

    /** The next word where it can be a value: no flag, no setting. */
    private @Nullable String takeValue() {
        String next = words.peekFirst();
        boolean isValue =
                next != null
                        && (!next.startsWith("-") || NEGATIVE_NUMBER.matcher(next).matches())
                        && !SETTING.matcher(next).matches();
        return isValue ? words.removeFirst() : null;
    }

    /** Whether the flag is one that may stand without a value and then means true. */
    private static boolean isTruth(@Nullable String flag) {
        return switch (flag == null ? null : QloraFlagTable.FLAGS.get(flag)) {
            case FlagMeaning.Sets sets -> {
                ConfigKeys.Key key = ConfigKeys.find(sets.key());
                yield sets.values().containsKey("false")
                        || (sets.values().isEmpty()
                                && key != null
                                && key.type().equals("true|false"));
            }
            case FlagMeaning.Ignored ignored -> isTruth(ignored.silent());
            case FlagMeaning.Refused refused -> isTruth(refused.harmless());
            case null -> false;
        };
    }

    private static boolean isTruth(Set<String> harmless) {
        return harmless.equals(Set.of("false")) || harmless.equals(Set.of("true"));
    }

    private static boolean isTruthWord(@Nullable String word) {
        String lower = word == null ? "" : word.toLowerCase(Locale.ROOT);
        return YES.contains(lower) || NO.contains(lower);
    }

    private static String normalized(String flag, String value) {
        String lower = value.toLowerCase(Locale.ROOT);
        if (!isTruth(flag)) {
            return lower;
        }
        return YES.contains(lower) ? "true" : NO.contains(lower) ? "false" : lower;
    }

    /** The trainer of Hugging Face lets steps go before epochs, where both are given. */
    private void settleStepsAndEpochs() {
        boolean hasSteps =
                settings.stream()
                        .anyMatch(one ->
                                one.key().equals("train.max_steps") && !one.value().equals("null"));
        boolean hasEpochs =
                settings.removeIf(one ->
                        hasSteps
                                && one.key().equals("train.num_train_epochs")
                                && one.said().startsWith("--"));
        if (hasEpochs) {
            notices.add("--num_train_epochs has no effect: --max_steps goes before it");
        }
    }
}

package org.qlora4j.data;

import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * The data sets that qlora.py knows by a name of its own, as {@code --dataset alpaca}.
 *
 * @param name as given in {@code data.dataset}
 * @param repository where it lies on the Hugging Face hub
 * @param file the one file that is meant, empty for the repository's train split
 * @param format what qlora.py takes it for
 */
public record QloraDataset(String name, String repository, String file, DatasetFormat format) {
    static final String NO_VICUNA =
            "vicuna cannot be used: Vicuna's training data was never released; use oasst1, alpaca or a file of your own";

    /** All but vicuna, in the order of qlora.py. */
    public static final List<QloraDataset> ALL =
            List.of(
                    new QloraDataset("alpaca", "tatsu-lab/alpaca", "", DatasetFormat.ALPACA),
                    new QloraDataset(
                            "alpaca-clean", "yahma/alpaca-cleaned", "", DatasetFormat.ALPACA),
                    new QloraDataset(
                            "chip2", "laion/OIG", "unified_chip2.jsonl", DatasetFormat.CHIP2),
                    new QloraDataset(
                            "self-instruct",
                            "yizhongw/self_instruct",
                            "",
                            DatasetFormat.PROMPT_COMPLETION),
                    new QloraDataset("hh-rlhf", "Anthropic/hh-rlhf", "", DatasetFormat.HH_RLHF),
                    new QloraDataset(
                            "longform", "akoksal/LongForm", "", DatasetFormat.INPUT_OUTPUT),
                    new QloraDataset(
                            "oasst1",
                            "timdettmers/openassistant-guanaco",
                            "",
                            DatasetFormat.OASST1));

    /**
     * The data set of that name, null if qlora.py knows none.
     *
     * @throws ConfigException for vicuna, which qlora.py refuses too
     */
    public static @Nullable QloraDataset of(String name) {
        String plain = name.strip().toLowerCase(Locale.ROOT);
        if (plain.equals("vicuna")) {
            throw new ConfigException("data.dataset " + NO_VICUNA);
        }
        return ALL.stream().filter(set -> set.name.equals(plain)).findFirst().orElse(null);
    }
}

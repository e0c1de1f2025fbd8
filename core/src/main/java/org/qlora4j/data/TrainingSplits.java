package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.tokenize.Tokenizer;

/**
 * What is trained on and what is evaluated on.
 *
 * @param train at least one example
 * @param eval null if the settings ask for none
 */
public record TrainingSplits(TrainingSet train, @Nullable TrainingSet eval) {
    /**
     * Reads, mixes and splits what the settings name. Parameters and errors as those of {@link
     * TrainingSet#load}.
     *
     * @param layout how the model takes an example
     * @param records what is trained on in place of {@code data.dataset}; null for that
     *     <p>The examples held out are those of {@code datasets.train_test_split} with this seed,
     *     as in qlora.py; the others keep its random order too.
     */
    public static TrainingSplits load(
            DataConfig config,
            Tokenizer tokenizer,
            SpecialIds special,
            Layout layout,
            @Nullable ChatRenderer template,
            @Nullable Records records) {
        if ((records != null) != config.dataset().toString().equals(Records.NAME)) {
            throw ConfigException.of(
                    records != null
                            ? "data.dataset is %s, but the program gives records; name Records.NAME there"
                            : "data.dataset is %s: records that only the program which trained on them can give",
                    config.dataset().isEmpty() ? "not set" : config.dataset());
        }
        if (config.dataset().isEmpty()) {
            throw new ConfigException(
                    "data.dataset is not set; name a file, e.g. data.jsonl, or org/name");
        }
        var sets = new Loader(config, tokenizer, special, layout, template);
        Datasets evalDataset = config.evalDataset();
        boolean splits = evalDataset == null && config.evalDatasetSize() > 0;
        int most = splits ? 0 : config.maxTrainSamples();
        Loaded all = sets.load(config.dataset(), records, "train", most);
        int[] train = all.order;
        @Nullable TrainingSet eval = null;
        if (evalDataset != null) {
            Loaded other = sets.load(evalDataset, null, "validation", 0);
            eval = other.set(first(other.order, config.maxEvalSamples()), List.of());
        } else if (splits) {
            int held = heldOut(config.evalDatasetSize(), train.length);
            int[] random = new NumpyRandom(config.dataSplitSeed()).permutation(train.length);
            int[] whole = train;
            int[] shuffled = Arrays.stream(random).map(i -> whole[i]).toArray();
            int[] out = Arrays.copyOf(shuffled, held);
            train = Arrays.copyOfRange(shuffled, held, shuffled.length);
            eval = all.set(first(out, config.maxEvalSamples()), List.of());
        }
        List<String> notices = new ArrayList<>(all.notices);
        if (eval != null) {
            notices.add("%d examples to evaluate on".formatted(eval.examples().size()));
        }
        train = first(train, config.maxTrainSamples());
        return new TrainingSplits(all.set(train, notices), eval);
    }

    private static int[] first(int[] order, int most) {
        return most == 0 || most >= order.length ? order : Arrays.copyOf(order, most);
    }

    /** As scikit-learn and datasets round: a share of the examples is rounded up. */
    private static int heldOut(double size, int examples) {
        int held = (int) (size < 1 ? Math.ceil(size * examples) : size);
        if (held >= examples) {
            throw ConfigException.of(
                    "data.eval_dataset_size %s holds out all of the %d examples; lower it",
                    size < 1 ? (Object) size : (Object) held, examples);
        }
        return held;
    }

    /** Examples, and the order in which the settings want them. */
    private record Loaded(
            ExampleStore store,
            int[] order,
            DataStats stats,
            String description,
            List<String> notices,
            Set<PromptForm> forms) {
        TrainingSet set(int[] places, List<String> notices) {
            return new TrainingSet(
                    new ExampleList(store, places), stats, description, notices, forms);
        }
    }

    private record Loader(
            DataConfig config,
            Tokenizer tokenizer,
            SpecialIds special,
            Layout layout,
            @Nullable ChatRenderer template) {
        Loaded load(Datasets datasets, @Nullable Records records, String split, int maxRecords) {
            ExampleStore store = new ExampleStore(ExampleStore.MEMORY_BYTES);
            ExampleReader reader =
                    new ExampleReader(config, tokenizer, special, layout, template, store);
            List<DatasetPart> parts = datasets.parts();
            int[] sizes = new int[parts.size()];
            int left = maxRecords == 0 || datasets.isMixed() ? Integer.MAX_VALUE : maxRecords;
            for (int i = 0; i < sizes.length; i++) {
                int before = store.size();
                if (left > 0) {
                    left -= reader.read(parts.get(i), records, split, left);
                }
                sizes[i] = store.size() - before;
            }
            store.flush();
            requireExamples(store, reader.stats(), datasets.toString());
            return datasets.isMixed()
                    ? mix(store, datasets, sizes, reader)
                    : inOrder(store, reader);
        }

        private static Loaded inOrder(ExampleStore store, ExampleReader reader) {
            int[] order = IntStream.range(0, store.size()).toArray();
            return new Loaded(
                    store, order, reader.stats(), reader.description(), List.of(), reader.forms());
        }

        private static void requireExamples(ExampleStore store, DataStats stats, String name) {
            if (store.size() == 0 && stats.records() == 0 && !stats.faults().isEmpty()) {
                throw FormatException.of(
                        "%s: each of the %d records has a fault; the first: %s",
                        name, stats.faults().size(), stats.faults().getFirst());
            }
            if (store.size() == 0) {
                throw FormatException.of(
                        "%s: none of the %d records has a token to train on (the first is at %s)%s; chats need an answer of the"
                                + " assistant, and limits that reach it: see data.source_max_len and data.target_max_len",
                        name,
                        stats.records(),
                        stats.droppedAt(),
                        stats.told().stream()
                                .map(told -> "; " + told)
                                .collect(Collectors.joining()));
            }
        }

        private Loaded mix(
                ExampleStore store, Datasets datasets, int[] sizes, ExampleReader reader) {
            double[] weights = new double[sizes.length];
            for (int i = 0; i < sizes.length; i++) {
                DatasetPart part = datasets.parts().get(i);
                weights[i] = part.weight() == null ? 1 : part.weight();
                if (sizes[i] == 0) {
                    throw FormatException.of(
                            "%s: none of its records has a token to train on, so it cannot be mixed",
                            part.path());
                }
            }
            int[] order =
                    Interleaving.order(
                            sizes, weights, config.dataSplitSeed(), config.stoppingStrategy());
            List<String> shares = new ArrayList<>();
            int from = 0;
            for (int i = 0; i < sizes.length; i++) {
                int begin = from;
                int end = begin + sizes[i];
                long taken = Arrays.stream(order).filter(p -> p >= begin && p < end).count();
                shares.add("%d of %s".formatted(taken, datasets.parts().get(i).path()));
                from = end;
            }
            String notice =
                    "mixed by weight: %d examples, %s"
                            .formatted(order.length, String.join(", ", shares));
            return new Loaded(
                    store,
                    order,
                    reader.stats(),
                    reader.description(),
                    List.of(notice),
                    reader.forms());
        }
    }
}

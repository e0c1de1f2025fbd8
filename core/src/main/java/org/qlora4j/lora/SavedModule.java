package org.qlora4j.lora;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Weight;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.Nearest;

/**
 * A weight of the model that an adapter brings whole, PEFT's {@code modules_to_save}: embeddings,
 * head, norms, or a linear layer that is not held in 4 bits.
 *
 * @param base the model's own, left unchanged
 * @param copy what takes its place while the adapter is attached; the adapter's
 */
record SavedModule(Parameter base, Parameter copy) {
    private static final String EMBEDDING = "embed_tokens";
    private static final String HEAD = "lm_head";

    /** Modules with a row for each token, by the names of most families. */
    static final List<String> TABLES = List.of(EMBEDDING, HEAD);

    /** Embeddings of all families that generate: GPT-2 and GPT-NeoX have names of their own. */
    private static final List<String> EMBEDDINGS = List.of(EMBEDDING, "wte", "embed_in");

    private static final String NEOX_HEAD = "embed_out";
    private static final List<String> HEADS = List.of(HEAD, NEOX_HEAD);

    /** Heads of classifiers, which are always brought whole, as PEFT does for SEQ_CLS. */
    static final List<String> CLASSIFIERS = List.of("classifier", "score");

    /** Whether a weight of this name has a row for each token. */
    static boolean isTable(String name) {
        return Stream.concat(EMBEDDINGS.stream(), HEADS.stream())
                .anyMatch(table -> name.endsWith(table + ".weight"));
    }

    /**
     * Whether PEFT ties embeddings and head by this name. It then takes a file that has the table
     * once and says {@code ensure_weight_tying}; of other families it does not.
     */
    static boolean isTiedByName(String name) {
        return name.endsWith(EMBEDDING + ".weight");
    }

    /** The module that a parameter belongs to, e.g. {@code model.norm}. */
    static String module(Parameter parameter) {
        return parameter.name().substring(0, parameter.name().lastIndexOf('.'));
    }

    /**
     * Whether a module with this path is to be brought whole: its path ends in one of the names, or
     * it is a classifier's head.
     */
    static boolean chooses(LoraConfig config, String path) {
        List<String> names = config.modulesToSave();
        return isClassifier(path)
                || (names != null && names.stream().anyMatch(name -> fits(path, name)));
    }

    /** Whether a path ends in a name, or is GPT-NeoX's head by the name that PEFT has for it. */
    private static boolean fits(String path, String name) {
        return path.endsWith(name) || (path.endsWith(NEOX_HEAD) && name.equals(HEAD));
    }

    /**
     * The name that PEFT over transformers 5 has for a module or weight: GPT-NeoX's head, {@code
     * embed_out} in checkpoints, is {@code lm_head} there.
     */
    static String inPeft(String name) {
        return name.equals(NEOX_HEAD) || name.startsWith(NEOX_HEAD + ".")
                ? HEAD + name.substring(NEOX_HEAD.length())
                : name;
    }

    /** The head's name in checkpoints, for a model that has GPT-NeoX's; else the name as it is. */
    static String inCheckpoint(String name, boolean neoxHead) {
        return neoxHead && (name.equals(HEAD) || name.startsWith(HEAD + "."))
                ? NEOX_HEAD + name.substring(HEAD.length())
                : name;
    }

    /** Whether a weight is of GPT-NeoX's head. */
    static boolean isOfNeoxHead(String name) {
        return name.startsWith(NEOX_HEAD + ".");
    }

    /** Whether a path is that of a classifier's head, or of a part of it. */
    static boolean isClassifier(String path) {
        return CLASSIFIERS.stream()
                .anyMatch(head -> path.equals(head) || path.startsWith(head + "."));
    }

    /**
     * As {@link #chooses(LoraConfig, String)}; where the head is the embedding table, the head's
     * name means the table too.
     */
    static boolean chooses(LoraConfig config, String path, boolean ownHead) {
        List<String> names = config.modulesToSave();
        return chooses(config, path)
                || (names != null
                        && !ownHead
                        && isEmbedding(path)
                        && names.stream().anyMatch(SavedModule::meansHead));
    }

    /**
     * The weights that the configuration names. Where the head is the embedding table, either name
     * means both.
     *
     * @throws ConfigException if a name fits none
     */
    static List<Parameter> chosen(
            LoraConfig config, List<LinearLayer> linears, List<Parameter> parameters) {
        List<String> names = config.modulesToSave() == null ? List.of() : config.modulesToSave();
        for (LinearLayer linear : linears) {
            if (chooses(config, linear.path()) && !(linear.weight() instanceof Weight.Dense)) {
                throw ConfigException.of(
                        "lora.modules_to_save %s names %s, which is held in 4 bits and cannot be trained whole; adapt it"
                                + " by lora.target_modules",
                        names, linear.path());
            }
        }
        boolean ownHead = hasOwnHead(parameters);
        List<Parameter> out = new ArrayList<>();
        List<String> unknown = new ArrayList<>(names);
        if (parameters.stream().anyMatch(p -> isClassifier(module(p)))) {
            unknown.removeAll(CLASSIFIERS); // PEFT writes both, whatever the model's is called
        }
        for (Parameter parameter : parameters) {
            String path = module(parameter);
            boolean sharedHead =
                    !ownHead
                            && isEmbedding(path)
                            && names.stream().anyMatch(SavedModule::meansHead);
            if (chooses(config, path, ownHead)) {
                out.add(parameter);
                unknown.removeIf(name -> fits(path, name));
                unknown.removeIf(name -> sharedHead && meansHead(name));
            }
        }
        if (!unknown.isEmpty()) {
            TreeSet<String> known = new TreeSet<>();
            for (Parameter parameter : parameters) {
                String path = module(parameter);
                known.add(path.substring(path.lastIndexOf('.') + 1));
            }
            String nearest = Nearest.of(unknown.getFirst(), known);
            throw ConfigException.of(
                    "lora.modules_to_save names %s, which the model does not have; it has %s%s",
                    unknown.getFirst(),
                    String.join(", ", known),
                    nearest == null ? "" : "; did you mean " + nearest + "?");
        }
        return out;
    }

    /** Whether the head is a table of its own. */
    static boolean hasOwnHead(List<Parameter> parameters) {
        return parameters.stream()
                .anyMatch(p -> HEADS.stream().anyMatch(head -> module(p).endsWith(head)));
    }

    /** Whether one of them is the one table that serves the model as embedding and as head. */
    static boolean bringsSharedTable(List<SavedModule> modules, List<Parameter> parameters) {
        return sharedTable(modules, parameters) != null;
    }

    /** The one among them that serves the model as embedding and as head; null for none. */
    static @Nullable Parameter sharedTable(List<SavedModule> modules, List<Parameter> parameters) {
        if (hasOwnHead(parameters)) {
            return null;
        }
        return modules.stream()
                .map(SavedModule::base)
                .filter(base -> isEmbedding(module(base)))
                .findFirst()
                .orElse(null);
    }

    /** The head's weight in the file of an adapter that brings the shared table. */
    static final String HEAD_NAME = HEAD + ".weight";

    /** The table's own name. */
    boolean isTable() {
        return isEmbedding(module(base));
    }

    /** Whether a module with this path holds the embeddings of tokens. */
    static boolean isEmbedding(String path) {
        return EMBEDDINGS.stream().anyMatch(path::endsWith);
    }

    /** Whether a name in {@code modules_to_save} is one of a head, or an end of it. */
    private static boolean meansHead(String name) {
        return HEADS.stream().anyMatch(head -> head.endsWith(name));
    }
}

package org.qlora4j.lora;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.util.DefaultIndenter;
import tools.jackson.core.util.DefaultPrettyPrinter;
import tools.jackson.core.util.Separators;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** PEFT's {@code adapter_config.json} (PEFT 0.21 {@code LoraConfig}), read and written. */
final class PeftConfigFile {
    static final String NAME = "adapter_config.json";

    /** The version of PEFT whose file this class writes, key for key. */
    private static final String PEFT_VERSION = "0.21.2";

    /** Whether base weights are transposed; A and B have the same shapes either way. */
    private static final String FAN_IN_FAN_OUT = "fan_in_fan_out";

    private static final String TYING = "ensure_weight_tying";
    private static final Pattern CHANGE_THE_BASE =
            Pattern.compile("pissa.*|olora|corda|loftq|lora_ga");

    /** Which rows of which tables learnt beside the factors. */
    private static final String TOKENS = "trainable_token_indices";

    /** Fields that told how training began, or which layers it took: the file's tensors show it. */
    private static final Set<String> OF_THE_START =
            Set.of(
                    "corda_config",
                    "eva_config",
                    "layers_pattern",
                    "loftq_config",
                    "lora_ga_config",
                    TOKENS);

    private static final Logger LOG = LoggerFactory.getLogger(PeftConfigFile.class);
    private static final JsonMapper JSON =
            JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

    /** Keys of features that plain LoRA does not use, with the value that means "not used". */
    private static final Map<String, @Nullable Object> UNUSED = unused();

    /** Keys that say nothing about what is computed, with the value PEFT writes. */
    private static final Map<String, @Nullable Object> NEUTRAL = neutral();

    private PeftConfigFile() {}

    private static Map<String, @Nullable Object> unused() {
        Map<String, @Nullable Object> keys = new TreeMap<>();
        for (String key :
                List.of(
                        "alora_invocation_tokens",
                        "arrow_config",
                        "corda_config",
                        "eva_config",
                        "kasa_config",
                        "layer_replication",
                        "layers_pattern",
                        "lora_ga_config",
                        "megatron_config",
                        "monteclora_config",
                        "target_parameters",
                        "trainable_token_indices",
                        "use_bdlora",
                        "velora_config")) {
            keys.put(key, null);
        }
        for (String key : List.of("lora_bias", "use_qalora")) {

            keys.put(key, false);
        }
        keys.put("bias", "none");
        keys.put("loftq_config", Map.of());
        return keys;
    }

    private static Map<String, @Nullable Object> neutral() {
        Map<String, @Nullable Object> keys = new TreeMap<>();
        keys.put("auto_mapping", null);
        keys.put(FAN_IN_FAN_OUT, false); // PEFT sets it right by the layers it finds
        keys.put("inference_mode", true);
        keys.put("megatron_core", "megatron.core");
        keys.put("peft_version", PEFT_VERSION);
        keys.put("qalora_group_size", 16);
        keys.put("revision", null);
        keys.put("task_type", "CAUSAL_LM");
        keys.put("base_model_name_or_path", null);
        keys.put("peft_type", "LORA");
        return keys;
    }

    /**
     * The file's text, with indent 2 and sorted keys.
     *
     * @param keepsHeadTied whether the adapter brings one table for embedding and head
     * @param taskType PEFT's name of what the model does
     * @param fanInFanOut whether the base has its weights as [in, out]
     */
    static String text(
            LoraConfig config,
            List<String> paths,
            @Nullable String baseModel,
            String taskType,
            boolean keepsHeadTied,
            boolean fanInFanOut) {
        Map<String, @Nullable Object> keys = new TreeMap<>(UNUSED);
        keys.putAll(NEUTRAL);
        keys.put(FAN_IN_FAN_OUT, fanInFanOut);
        keys.put("base_model_name_or_path", baseModel);
        keys.put("r", config.r());
        keys.put("lora_alpha", plain(config.loraAlpha()));
        keys.put("lora_dropout", config.loraDropout());
        // PEFT writes all-linear as the paths it stood for
        keys.put(
                "target_modules",
                config.targetModules() instanceof TargetModules.AllLinear
                        ? paths
                        : config.targetModules().json());
        keys.put(
                "exclude_modules",
                config.excludeModules() == null ? null : config.excludeModules().json());
        keys.put("use_rslora", config.useRslora());
        keys.put("use_dora", config.useDora());
        keys.put("task_type", taskType);
        keys.put("modules_to_save", modulesToSave(config, taskType));
        keys.put(TYING, keepsHeadTied);
        keys.put("rank_pattern", config.rankPattern());
        Map<String, Object> alphas = new LinkedHashMap<>();
        config.alphaPattern().forEach((pattern, alpha) -> alphas.put(pattern, plain(alpha)));
        keys.put("alpha_pattern", alphas);
        keys.put("layers_to_transform", config.layersToTransform());
        keys.put("init_lora_weights", config.initLoraWeights().json());
        DefaultIndenter indent = new DefaultIndenter("  ", "\n");
        DefaultPrettyPrinter printer =
                new DefaultPrettyPrinter(
                                Separators.createDefaultInstance()
                                        .withObjectNameValueSpacing(Separators.Spacing.AFTER)
                                        .withArrayEmptySeparator("")
                                        .withObjectEmptySeparator(""))
                        .withObjectIndenter(indent)
                        .withArrayIndenter(indent);
        return JSON.writer().with(printer).writeValueAsString(keys) + "\n";
    }

    /** As PEFT writes them: with both names that a classifier's head may have. */
    private static @Nullable List<String> modulesToSave(LoraConfig config, String taskType) {
        List<String> named = config.modulesToSave();
        if (!taskType.equals("SEQ_CLS")) {
            return named == null ? null : named.stream().map(SavedModule::inPeft).toList();
        }
        List<String> all = new ArrayList<>(named == null ? List.of() : named);
        SavedModule.CLASSIFIERS.stream().filter(name -> !all.contains(name)).forEach(all::add);
        return all;
    }

    /** A whole number as one: PEFT writes 16, not 16.0. */
    private static Number plain(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e15
                ? (Number) (long) value
                : (Number) value;
    }

    /**
     * The configuration in a file; keys that mean something this library does not compute are
     * errors.
     */
    static LoraConfig read(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new FormatException(file + " is missing; name the folder of a PEFT adapter");
        }
        JsonNode json;
        try {
            json = JSON.readTree(file);
        } catch (JacksonException e) {
            int line = e.getLocation() == null ? 1 : e.getLocation().getLineNr();
            throw FormatException.of("%s:%d: not valid JSON; save the adapter again", file, line);
        }
        if (!json.isObject() || !json.path("peft_type").asString("").equals("LORA")) {
            throw FormatException.of(
                    "%s: peft_type is %s; only LORA adapters are supported",
                    file, json.path("peft_type"));
        }
        PeftFieldTypes.check(file, json);
        UNUSED.forEach((key, neutral) -> {
            if (!OF_THE_START.contains(key)) {
                refuseUse(file, json, key, neutral);
            }
        });
        try {
            return config(file, json);
        } catch (ConfigException e) {
            throw FormatException.of("%s: %s", file, e.getMessage());
        }
    }

    private static void refuseUse(Path file, JsonNode json, String key, @Nullable Object neutral) {
        JsonNode value = json.get(key);
        boolean unused =
                value == null
                        || value.isNull()
                        || (value.isContainer() && value.isEmpty())
                        || (value.isBoolean() && !value.asBoolean())
                        || value.asString("").equals(neutral);
        if (!unused) {
            throw FormatException.of(
                    "%s: %s %s is not supported; train the adapter without it", file, key, value);
        }
    }

    private static LoraConfig config(Path file, JsonNode json) {
        List<String> known = new ArrayList<>(UNUSED.keySet());
        known.addAll(NEUTRAL.keySet());
        known.addAll(
                List.of(
                        "r",
                        "lora_alpha",
                        "lora_dropout",
                        "target_modules",
                        "exclude_modules",
                        "use_rslora",
                        "rank_pattern",
                        "alpha_pattern",
                        "layers_to_transform",
                        "init_lora_weights",
                        "use_dora",
                        "modules_to_save",
                        TYING));
        json.propertyNames().stream()
                .filter(key -> !known.contains(key))
                .forEach(key -> LOG.warn("{}: unknown key {} is ignored", file, key));
        JsonNode layers = json.path("layers_to_transform");
        List<String> whole = texts(json.path("modules_to_save"));
        TargetModules targets = modules(json.path("target_modules"));
        return new LoraConfig(
                json.path("r").asInt(8), // PEFT's defaults, not qlora.py's
                json.path("lora_alpha").asDouble(8),
                json.path("lora_dropout").asDouble(0),
                targets == null ? new TargetModules.AllLinear() : targets,
                modules(json.path("exclude_modules")),
                json.path("use_rslora").asBoolean(false),
                numbers(json.path("rank_pattern"), JsonNode::asInt),
                numbers(json.path("alpha_pattern"), JsonNode::asDouble),
                layers.isMissingNode() || layers.isNull() || (layers.isArray() && layers.isEmpty())
                        ? null
                        : layers.isArray()
                                ? layers.valueStream().map(JsonNode::asInt).toList()
                                : List.of(layers.asInt()),
                init(file, json.path("init_lora_weights").asString("")),
                json.path("use_dora").asBoolean(false),
                whole.isEmpty() ? null : whole);
    }

    /** How the factors began, which matters only where they stand on a base that was changed. */
    private static LoraInit init(Path file, String written) {
        String name = written.toLowerCase(Locale.ROOT);
        if (CHANGE_THE_BASE.matcher(name).matches()) {
            throw FormatException.of(
                    "%s: init_lora_weights is %s, so its factors belong to a base that was changed at the start; save it"
                            + " from PEFT with path_initial_model_for_weight_conversion",
                    file, name);
        }
        return name.equals(LoraInit.GAUSSIAN.json()) ? LoraInit.GAUSSIAN : LoraInit.KAIMING_UNIFORM;
    }

    /** Whether an adapter that brings the embedding table of a model with tied head brings both. */
    static boolean keepsHeadTied(Path file) {
        return JSON.readTree(file).path(TYING).asBoolean(false);
    }

    /**
     * A choice of layers; null where it is left out, empty, or no expression. The tensors of the
     * file say which layers they belong to.
     */
    private static @Nullable TargetModules modules(JsonNode node) {
        List<String> names = texts(node);
        if (names.isEmpty()) {
            return null;
        }
        try {
            return node.isArray() ? new TargetModules.Named(names) : TargetModules.of(names.get(0));
        } catch (ConfigException e) {
            return null;
        }
    }

    /** A text or those of a list, without blank ones. */
    private static List<String> texts(JsonNode node) {
        List<String> out = new ArrayList<>();
        if (node.isString()) {
            out.add(node.stringValue());
        } else if (node.isArray()) {
            node.forEach(each -> out.add(each.asString()));
        }
        out.removeIf(String::isBlank);
        return out;
    }

    /**
     * Rows that an adapter brings instead of the model's own, by the last part of their table's
     * name.
     *
     * @param otherwise the table that a list without a name means
     */
    static Map<String, List<Integer>> tokens(Path file, String otherwise) {
        JsonNode value = JSON.readTree(file).path(TOKENS);
        Map<String, List<Integer>> out = new LinkedHashMap<>();
        if (value.isArray() && !value.isEmpty()) {
            out.put(otherwise, ids(file, value));
        } else if (value.isObject()) {
            value.forEachEntry((name, ids) -> out.put(name, ids(file, ids)));
        }
        return out;
    }

    private static List<Integer> ids(Path file, JsonNode list) {
        boolean whole =
                list.isArray()
                        && list.valueStream()
                                .allMatch(id ->
                                        id.isIntegralNumber()
                                                && id.canConvertToInt()
                                                && id.intValue() >= 0);
        if (!whole) {
            throw FormatException.of("%s: %s must list ids of tokens, got %s", file, TOKENS, list);
        }
        return list.valueStream().map(JsonNode::intValue).toList();
    }

    private static <V> Map<String, V> numbers(
            JsonNode object, java.util.function.Function<JsonNode, V> as) {
        Map<String, V> out = new LinkedHashMap<>();
        object.forEachEntry((key, value) -> out.put(key, as.apply(value)));
        return out;
    }
}

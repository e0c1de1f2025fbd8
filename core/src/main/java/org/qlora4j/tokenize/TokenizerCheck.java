package org.qlora4j.tokenize;

import static java.util.Objects.requireNonNull;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.tokenize.TokenizerLimits.Step;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads a {@code tokenizer.json} before Rust does, since Rust ends the process where a file breaks
 * its assumptions. It knows every part that Hugging Face's tokenizers 0.21 has, and looks for those
 * values that its reader takes without a look. What is left, a wrong type for example, Rust says
 * itself.
 */
final class TokenizerCheck {
    /** Added tokens; Rust compares each with all before it. */
    static final int MAX_ADDED = 50_000;

    /** Bytes of a marker that decoders and normalizers put in. */
    private static final int MAX_CONTENT = 200;

    private static final JsonMapper JSON =
            JsonMapper.builder(
                            JsonFactory.builder()
                                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                                    .streamReadConstraints(
                                            StreamReadConstraints.builder()
                                                    .maxNestingDepth(100)
                                                    .maxStringLength(64 << 20)
                                                    .build())
                                    .build())
                    .disable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS) // parts of a stream
                    .build();

    /** A tokenizer with one token for whatever a normalizer leaves. */
    private static final String PROBE =
            """
            {"version": "1.0", "model": {"type": "BPE", "unk_token": "u", "fuse_unk": true,
             "vocab": {"u": 0}, "merges": []}}
            """;

    private static final Set<String> NORMALIZERS =
            Set.of(
                    "BertNormalizer",
                    "Strip",
                    "StripAccents",
                    "NFC",
                    "NFD",
                    "NFKC",
                    "NFKD",
                    "Sequence",
                    "Lowercase",
                    "Nmt",
                    "Precompiled",
                    "Replace",
                    "Prepend",
                    "ByteLevel");

    /** Normalizers that lose no ASCII letter or digit; {@code Replace} where it seeks a blank. */
    private static final Set<String> KEEPING =
            Set.of("Sequence", "NFC", "NFD", "NFKC", "NFKD", "Replace", "Prepend", "ByteLevel");

    private static final Set<String> SPLITS =
            Set.of(
                    "BertPreTokenizer",
                    "ByteLevel",
                    "Delimiter",
                    "CharDelimiterSplit",
                    "Metaspace",
                    "Whitespace",
                    "Sequence",
                    "Split",
                    "Punctuation",
                    "WhitespaceSplit",
                    "Digits",
                    "UnicodeScripts",
                    "FixedLength");
    private static final Set<String> PROCESSORS =
            Set.of(
                    "RobertaProcessing",
                    "BertProcessing",
                    "ByteLevel",
                    "TemplateProcessing",
                    "Sequence");
    private static final Set<String> DECODERS =
            Set.of(
                    "BPEDecoder",
                    "ByteLevel",
                    "WordPiece",
                    "Metaspace",
                    "CTC",
                    "Sequence",
                    "Replace",
                    "Fuse",
                    "Strip",
                    "ByteFallback");

    private final Path file;
    private final List<Step> steps = new ArrayList<>();
    private final List<PatternGuard> decoding = new ArrayList<>();
    private final List<String> normalized = new ArrayList<>();
    private double growth = 1;
    private int templates = 0;
    private boolean mayEmpty = false;
    private boolean cuts = true;
    private boolean keepsLetters = true;
    private @Nullable JsonNode normalizer;
    private @Nullable TokenizerModel model;

    private TokenizerCheck(Path file) {
        this.file = file;
    }

    /**
     * Checks the text of a {@code tokenizer.json}.
     *
     * @param file where it comes from, for messages
     * @return what text the tokenizer takes
     * @throws FormatException with file, key, value and rule, if it would not be safe to load
     */
    static TokenizerLimits check(String json, Path file) {
        TokenizerCheck check = new TokenizerCheck(file);
        try (JsonParser parser = JSON.createParser(json)) {
            check.read(parser);
        } catch (JacksonException e) {
            throw TokenizerFiles.malformed(file, e);
        }
        check.checkMerges(json);
        check.checkAdded();
        return check.limits();
    }

    private void read(JsonParser parser) {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw new FormatException(file + " must hold a JSON object, but does not");
        }
        JsonNode splits = null;
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            String name = parser.currentName();
            parser.nextToken();
            switch (name) {
                case "added_tokens" -> addedTokens(JSON.readTree(parser));
                case "normalizer" -> normalizer = JSON.readTree(parser);
                case "pre_tokenizer" -> splits = JSON.readTree(parser);
                case "post_processor" -> processor(JSON.readTree(parser), name);
                case "decoder" -> decoder(JSON.readTree(parser), name);
                case "model" -> model = TokenizerModel.read(parser, file.toString());
                default -> parser.skipChildren();
            }
        }
        if (parser.nextToken() != null) {
            throw new FormatException(file + " goes on behind its JSON object");
        }
        if (model == null) {
            throw new FormatException(
                    file + " lists no tokens (model.vocab and added_tokens); is it a tokenizer?");
        }
        normalizer(normalizer, "normalizer"); // runs first, whatever the file's order
        split(splits, "pre_tokenizer");
        cuts &= splitsWords(splits) && model.isMerging();
    }

    private void checkMerges(String json) {
        if (model == null || !model.hasPrefix()) {
            return;
        }
        try (JsonParser parser = JSON.createParser(json)) {
            parser.nextToken();
            while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
                String name = parser.currentName();
                parser.nextToken();
                if (name.equals("model")) {
                    model.checkMerges(parser);
                } else {
                    parser.skipChildren();
                }
            }
        }
    }

    private TokenizerLimits limits() {
        TokenizerModel read = requireNonNull(model);
        return new TokenizerLimits(
                read.maxChars(),
                growth * read.marks(),
                List.copyOf(steps),
                List.copyOf(decoding),
                cuts,
                keepsLetters && read.isMerging() && read.marks() == 1,
                read.spellsBytes());
    }

    private FormatException wrong(String key, String rule, @Nullable JsonNode found) {
        return FormatException.of("%s: %s must be %s, got %s", file, key, rule, JsonKind.of(found));
    }

    /** The type of a part, null if there is no part. */
    private @Nullable String type(@Nullable JsonNode part, String key, Set<String> known) {
        if (part == null || part.isNull()) {
            return null;
        }
        if (!part.isObject()) {
            throw wrong(key, "an object or null", part);
        }
        JsonNode type = part.get("type");
        if (type == null || !type.isString()) {
            throw wrong(key + ".type", "text", type);
        }
        if (!known.contains(type.stringValue())) {
            throw FormatException.of(
                    "%s: %s.type %s is unknown; known are %s",
                    file,
                    key,
                    type.stringValue(),
                    String.join(", ", known.stream().sorted().toList()));
        }
        return type.stringValue();
    }

    private void addedTokens(JsonNode list) {
        if (!list.isArray()) {
            throw wrong("added_tokens", "a list", list);
        }
        if (list.size() > MAX_ADDED) {
            throw FormatException.of(
                    "%s: added_tokens has %d entries; up to %d are read",
                    file, list.size(), MAX_ADDED);
        }
        for (JsonNode token : list) {
            JsonNode id = token.get("id");
            JsonNode content = token.get("content");
            if (id == null
                    || !id.isIntegralNumber()
                    || !id.canConvertToInt()
                    || id.intValue() < 0
                    || id.intValue() > TokenizerModel.MAX_ID) {
                throw wrong(
                        "an id of added_tokens",
                        "an integer from 0 to " + TokenizerModel.MAX_ID,
                        id);
            }
            if (content == null || !content.isString()) {
                throw wrong("a content of added_tokens", "text", content);
            }
            if (!token.path("normalized").isBoolean() || token.path("normalized").booleanValue()) {
                normalized.add(content.stringValue());
            }
            cuts &= !token.path("rstrip").asBoolean(true) && content.stringValue().indexOf(' ') < 0;
        }
    }

    private void normalizer(@Nullable JsonNode part, String key) {
        String type = type(part, key, NORMALIZERS);
        if (type == null || part == null) {
            return;
        }
        cuts &= type.equals("NFC");
        keepsLetters &= KEEPING.contains(type);
        mayEmpty |=
                Set.of("Strip", "StripAccents", "Nmt", "Precompiled", "Replace", "BertNormalizer")
                        .contains(type);
        switch (type) {
            case "Sequence" -> {
                cuts &= part.path("normalizers").size() == 0;
                each(part, key, "normalizers", this::normalizer);
            }
            case "Precompiled" -> {
                String where = key + ".precompiled_charsmap";
                JsonNode map = part.get("precompiled_charsmap");
                if (map == null || !map.isString()) {
                    throw wrong(where, "text", map);
                }
                grow(CharsMap.check(map.stringValue(), file + ": " + where));
            }
            case "Replace" -> {
                String content = content(part, key, "content");
                grow(Math.max(1, bytes(content)));
                keepsLetters &= part.path("pattern").path("String").asString("a").equals(" ");
                pattern(part, key, content);
            }
            case "Prepend" -> content(part, key, "prepend");
            case "NFC", "NFD", "NFKC", "NFKD" -> {
                steps.add(new Step.Form(Normalizer.Form.valueOf(type)));
                grow(type.startsWith("NFK") ? 11 : 3);
            }
            case "Lowercase" -> {
                steps.add(new Step.Lower());
                grow(1.5);
            }
            case "ByteLevel", "BertNormalizer" -> grow(3);
            default -> {}
        }
    }

    private interface PartCheck {
        void check(JsonNode part, String key);
    }

    private void each(JsonNode part, String key, String name, PartCheck check) {
        JsonNode list = part.get(name);
        if (list == null || !list.isArray()) {
            throw wrong(key + "." + name, "a list", list);
        }
        int i = 0;
        for (JsonNode one : list) {
            if (!one.isObject()) {
                throw wrong(key + "." + name + "[" + i + "]", "an object", one);
            }
            check.check(one, key + "." + name + "[" + i + "]");
            i++;
        }
    }

    private void grow(double times) {
        growth *= times;
        if (growth > 1e6) {
            throw new FormatException(
                    file
                            + ": normalizer makes more than a million characters of one; it is not run");
        }
    }

    private String content(JsonNode part, String key, String name) {
        JsonNode content = part.get(name);
        if (content == null || !content.isString() || bytes(content.stringValue()) > MAX_CONTENT) {
            throw wrong(key + "." + name, "text of at most " + MAX_CONTENT + " bytes", content);
        }
        return content.stringValue();
    }

    private static int bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8).length;
    }

    /** Adds the step of a {@code pattern}, which is a literal or a regular expression. */
    private void pattern(JsonNode part, String key, @Nullable String content) {
        JsonNode pattern = part.get("pattern");
        String where = key + ".pattern";
        if (pattern == null || !pattern.isObject() || pattern.size() != 1) {
            throw wrong(where, "an object with String or Regex", pattern);
        }
        JsonNode literal = pattern.get("String");
        JsonNode regex = pattern.get("Regex");
        if (literal != null && literal.isString()) {
            if (content != null) {
                if (literal.stringValue().isEmpty()) {
                    throw wrong(where + ".String", "text that is not empty", literal);
                }
                steps.add(new Step.Literal(literal.stringValue(), content));
            }
        } else if (regex != null && regex.isString()) {
            steps.add(
                    new Step.Regex(
                            PatternGuard.of(regex.stringValue(), file + ": " + where + ".Regex"),
                            content));
        } else {
            throw wrong(where, "an object with String or Regex", pattern);
        }
    }

    private void split(@Nullable JsonNode part, String key) {
        String type = type(part, key, SPLITS);
        if (type == null || part == null) {
            return;
        }
        keepsLetters &=
                !type.equals("CharDelimiterSplit")
                        && !type.equals("Delimiter")
                        && !part.path("behavior").asString("").equals("Removed");
        switch (type) {
            case "Sequence" -> each(part, key, "pretokenizers", this::split);
            case "Split" -> pattern(part, key, null);
            case "Metaspace" -> grow(3);
            case "FixedLength" -> {
                JsonNode length = part.get("length");
                if (length != null
                        && !(length.isIntegralNumber()
                                && length.canConvertToInt()
                                && length.intValue() >= 1)) {
                    throw wrong(key + ".length", "an integer of at least 1", length);
                }
            }
            default -> {}
        }
    }

    private void processor(JsonNode part, String key) {
        String type = type(part, key, PROCESSORS);
        if (type == null) {
            return;
        }
        if (type.equals("Sequence")) {
            each(part, key, "processors", this::processor);
        } else if (type.equals("TemplateProcessing")) {
            if (++templates > 1) {
                throw wrong(key, "the only TemplateProcessing", part);
            }
            template(part, key);
        }
    }

    private void template(JsonNode part, String key) {
        JsonNode special = part.path("special_tokens");
        boolean text = false;
        for (String name : List.of("single", "pair")) {
            JsonNode pieces = part.path(name);
            if (!pieces.isArray() || pieces.size() > 1000) {
                throw wrong(key + "." + name, "a list", pieces);
            }
            for (JsonNode piece : pieces) {
                JsonNode token = piece.path("SpecialToken").get("id");
                String sequence = piece.path("Sequence").path("id").asString("");
                if (token != null && !special.has(token.asString(""))) {
                    throw FormatException.of(
                            "%s: %s.special_tokens lacks %s, which %s.%s names",
                            file, key, token.asString(""), key, name);
                }
                if (token == null && name.equals("single") && !sequence.equals("A")) {
                    throw wrong(key + ".single", "a list of special tokens and sequence A", piece);
                }
                text |= name.equals("single") && sequence.equals("A");
            }
        }
        if (!text) {
            throw FormatException.of(
                    "%s: %s.single leaves the text out: it has no sequence A", file, key);
        }
        for (String name : special.propertyNames()) {
            JsonNode ids = special.get(name).path("ids");
            JsonNode tokens = special.get(name).path("tokens");
            if (!ids.isArray()
                    || !tokens.isArray()
                    || ids.size() != tokens.size()
                    || ids.size() > 1000) {
                throw FormatException.of(
                        "%s: %s.special_tokens.%s must have as many ids as tokens",
                        file, key, name);
            }
        }
    }

    private void decoder(JsonNode part, String key) {
        String type = type(part, key, DECODERS);
        if (type == null) {
            return;
        }
        switch (type) {
            case "Sequence" -> each(part, key, "decoders", this::decoder);
            case "Replace" -> {
                int before = steps.size();
                pattern(part, key, content(part, key, "content"));
                if (steps.size() > before
                        && steps.removeLast() instanceof Step.Regex(PatternGuard regex, var c)
                        && !regex.isKnown()) {
                    decoding.add(regex);
                }
            }
            case "Strip" -> {
                JsonNode stop = part.get("stop");
                if (stop == null
                        || !stop.isIntegralNumber()
                        || !stop.canConvertToInt()
                        || stop.intValue() != 0) {
                    throw wrong(
                            key + ".stop",
                            "0, since Rust reads beyond a token that is nothing but its content",
                            stop);
                }
            }
            case "BPEDecoder" -> content(part, key, "suffix");
            case "WordPiece" -> content(part, key, "prefix");
            default -> {}
        }
    }

    /** Tokens that a normalizer empties would match everywhere, within characters too. */
    private void checkAdded() {
        if (!mayEmpty || normalized.isEmpty() || normalizer == null) {
            return;
        }
        ObjectNode probe = (ObjectNode) JSON.readTree(PROBE);
        probe.set("normalizer", normalizer);
        TokenizerLimits limits = limits();
        try (NativeTokenizer alone = NativeTokenizer.of(probe.toString(), file.toString())) {
            for (String token : normalized) {
                limits.check(token);
                if (!token.isEmpty() && alone.encode(token, false, 16 + bytes(token)).length == 0) {
                    throw FormatException.of(
                            "%s: the normalizer leaves nothing of the added token \"%s\"; set its normalized to false",
                            file, token);
                }
            }
        }
    }

    /** Whether a cut between a letter and a blank before a letter lies between two words. */
    private static boolean splitsWords(@Nullable JsonNode splits) {
        if (splits == null || !splits.isObject()) {
            return false;
        }
        List<JsonNode> parts = new ArrayList<>();
        if (splits.path("type").asString("").equals("Sequence")) {
            splits.path("pretokenizers").forEach(parts::add);
        } else {
            parts.add(splits);
        }
        boolean words = false;
        for (JsonNode part : parts) {
            switch (part.path("type").asString("")) {
                case "ByteLevel" -> {
                    if (part.path("add_prefix_space").asBoolean(true)) {
                        return false;
                    }
                    words |= part.path("use_regex").asBoolean(true);
                }
                case "Digits" -> {}
                case "Split" -> {
                    String regex = part.path("pattern").path("Regex").asString("");
                    if (!PatternGuard.KNOWN.contains(regex)
                            || !part.path("behavior").asString("").equals("Isolated")
                            || part.path("invert").asBoolean(true)) {
                        return false;
                    }
                    words = true;
                }
                default -> {
                    return false;
                }
            }
        }
        return words;
    }
}

package org.qlora4j.tokenize;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import org.qlora4j.testing.FuzzChild;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Mutated {@code tokenizer.json} files, each with texts to encode and ids to decode. */
final class TokenizerFuzz {
    private static final JsonMapper JSON = JsonMapper.builder().build();

    private static final List<String> NORMALIZERS =
            List.of(
                    "{'type':'NFC'}",
                    "{'type':'NFKC'}",
                    "{'type':'NFD'}",
                    "{'type':'Nmt'}",
                    "{'type':'Lowercase'}",
                    "{'type':'StripAccents'}",
                    "{'type':'ByteLevel'}",
                    "{'type':'Strip','strip_left':true,'strip_right':true}",
                    "{'type':'Prepend','prepend':'▁'}",
                    "{'type':'Replace','pattern':{'String':' '},'content':'▁'}",
                    "{'type':'Replace','pattern':{'Regex':' {2,}'},'content':'b'}",
                    "{'type':'Replace','pattern':{'Regex':'a*a*b'},'content':''}",
                    "{'type':'Replace','pattern':{'Regex':'^(a+)+b$'},'content':''}",
                    "{'type':'BertNormalizer','clean_text':true,'handle_chinese_chars':true,'strip_accents':null,'lowercase':true}",
                    "{'type':'Precompiled','precompiled_charsmap':''}",
                    "{'type':'Precompiled','precompiled_charsmap':'CHARSMAP'}",
                    "{'type':'Sequence','normalizers':[{'type':'NFD'},{'type':'StripAccents'},{'type':'Replace','pattern':{'String':'a'},'content':'ßb'}]}");

    private static final List<String> SPLITS =
            List.of(
                    "{'type':'Whitespace'}",
                    "{'type':'WhitespaceSplit'}",
                    "{'type':'BertPreTokenizer'}",
                    "{'type':'ByteLevel','add_prefix_space':false,'trim_offsets':true,'use_regex':true}",
                    "{'type':'Metaspace','replacement':'▁','prepend_scheme':'always','split':true}",
                    "{'type':'Digits','individual_digits':true}",
                    "{'type':'Punctuation','behavior':'Contiguous'}",
                    "{'type':'UnicodeScripts'}",
                    "{'type':'CharDelimiterSplit','delimiter':'a'}",
                    "{'type':'FixedLength','length':3}",
                    "{'type':'Split','pattern':{'Regex':'\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+'},'behavior':'Isolated','invert':false}",
                    "{'type':'Split','pattern':{'Regex':'(?i:\\'s|\\'t)|[^\\\\r\\\\n\\\\p{L}]?\\\\p{L}+'},'behavior':'MergedWithNext','invert':true}",
                    "{'type':'Split','pattern':{'String':'ab'},'behavior':'Removed','invert':false}",
                    "{'type':'Sequence','pretokenizers':[{'type':'Digits','individual_digits':false},{'type':'ByteLevel','add_prefix_space':true,'trim_offsets':false,'use_regex':false}]}");

    private static final List<String> PROCESSORS =
            List.of(
                    "{'type':'ByteLevel','add_prefix_space':true,'trim_offsets':true}",
                    "{'type':'RobertaProcessing','sep':['a',0],'cls':['b',1],'trim_offsets':true,'add_prefix_space':true}",
                    "{'type':'BertProcessing','sep':['a',0],'cls':['b',1]}",
                    "{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'a','type_id':0}},{'Sequence':{'id':'A','type_id':0}}],'pair':[{'Sequence':{'id':'A','type_id':0}},{'Sequence':{'id':'B','type_id':1}}],'special_tokens':{'a':{'id':'a','ids':[0],'tokens':['a']}}}",
                    "{'type':'Sequence','processors':[{'type':'ByteLevel','add_prefix_space':true,'trim_offsets':true}]}");

    private static final List<String> DECODERS =
            List.of(
                    "{'type':'ByteLevel','add_prefix_space':true,'trim_offsets':true}",
                    "{'type':'BPEDecoder','suffix':'</w>'}",
                    "{'type':'WordPiece','prefix':'##','cleanup':true}",
                    "{'type':'Metaspace','replacement':'▁','prepend_scheme':'always'}",
                    "{'type':'CTC','pad_token':'a','word_delimiter_token':'|','cleanup':true}",
                    "{'type':'Strip','content':'b','start':1,'stop':1}",
                    "{'type':'Sequence','decoders':[{'type':'Replace','pattern':{'String':'▁'},'content':' '},{'type':'ByteFallback'},{'type':'Fuse'},{'type':'Strip','content':' ','start':1,'stop':0}]}");

    private static final List<String> MODELS =
            List.of(
                    "{'type':'BPE','dropout':null,'unk_token':null,'continuing_subword_prefix':null,'end_of_word_suffix':null,'fuse_unk':false,'byte_fallback':false,'vocab':{'a':0,'b':1,'ab':2,'▁':3,'Ġ':4,'aab':5},'merges':['a b','a ab']}",
                    "{'type':'BPE','unk_token':'b','continuing_subword_prefix':'##','end_of_word_suffix':'</w>','fuse_unk':true,'byte_fallback':true,'vocab':{'a':0,'b':1,'ab':2,'##b':3,'##':4,'a##':6},'merges':[['a','##b'],['a','##']]}",
                    "{'type':'WordLevel','vocab':{'a':0,'b':1,'[UNK]':2},'unk_token':'[UNK]'}",
                    "{'type':'WordPiece','unk_token':'[UNK]','continuing_subword_prefix':'##','max_input_chars_per_word':100,'vocab':{'a':0,'b':1,'[UNK]':2,'##b':3}}",
                    "{'type':'Unigram','unk_id':0,'vocab':[['<unk>',0.0],['a',-1.0],['b',-2.0],['ab',-1.5],['▁',-3]],'byte_fallback':false}");

    private static final List<String> VALUES =
            List.of(
                    "null",
                    "true",
                    "0",
                    "1",
                    "-1",
                    "3",
                    "0.5",
                    "1e308",
                    "4294967295",
                    "9223372036854775807",
                    "18446744073709551616",
                    "''",
                    "'a'",
                    "'ß'",
                    "'😀'",
                    "'\\ud800'",
                    "'##'",
                    "'\\u0000'",
                    "[]",
                    "{}",
                    "[[]]",
                    "{'a':1}",
                    "{'Regex':'(a|aa)+$'}",
                    "{'Regex':'\\\\p{L}+\\\\d*x'}",
                    "{'Regex':'('}",
                    "{'Regex':''}",
                    "{'Regex':'(?<=a)'}",
                    "{'Regex':'(((((a{9}){9}){9}){9}){9}){9}'}",
                    "{'Regex':'a|(?=b)'}",
                    "{'Regex':'\\\\1(a)'}",
                    "{'String':''}",
                    "{'String':'a'}",
                    "{'type':'Strip','content':'a','start':0,'stop':9}",
                    "{'type':'FixedLength','length':0}",
                    "{'length':0}");

    private static final List<String> TEXTS =
            List.of(
                    "",
                    "a",
                    "b",
                    "aab ab b",
                    "  hello \n\n\t world  ",
                    "ß\u0301é\u0000\u200b",
                    "😀\ud800 a",
                    "[UNK]<s>ab</s>",
                    "123 45a",
                    "漢字ab",
                    "\ufdfa\u00a0");

    private TokenizerFuzz() {}

    public static void main(String[] arguments) throws Exception {
        Path folder = Files.createTempDirectory("fuzz");
        Path file = folder.resolve("tokenizer.json");
        try {
            FuzzChild.main(arguments, seed -> trial(seed, folder, file));
        } finally {
            Files.deleteIfExists(file);
            Files.deleteIfExists(folder);
        }
    }

    private static void trial(long seed, Path folder, Path file) throws Exception {
        Random random = new Random(seed);
        Files.writeString(file, NativeTokenizer.sound(json(random)));
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            for (int i = 0; i < 6; i++) {
                String text = text(random);
                int[] ids = tokenizer.encode(text, random.nextBoolean());
                tokenizer.decode(ids, random.nextBoolean());
            }
            tokenizer.decode(new int[] {}, false);
            tokenizer.decode(new int[] {0}, false);
            tokenizer.decode(new int[] {1, 1, 2, 99, -1}, true);
        }
    }

    private static String text(Random random) {
        String text = TEXTS.get(random.nextInt(TEXTS.size()));
        return switch (random.nextInt(6)) {
            case 0 -> text.repeat(1 + random.nextInt(2000));
            case 1 -> " ".repeat(random.nextInt(50_000)) + text;
            case 2 -> "a".repeat(random.nextInt(50_000)) + text;
            case 3 -> text + TEXTS.get(random.nextInt(TEXTS.size()));
            default -> text;
        };
    }

    /** A tokenizer of random parts, with a few of its values changed. */
    static String json(Random random) {
        ObjectNode root = JSON.createObjectNode().put("version", "1.0");
        root.putNull("truncation").putNull("padding");
        ArrayNode added = root.putArray("added_tokens");
        for (int i = 0; i < random.nextInt(3); i++) {
            added.addObject()
                    .put("id", 10 + i)
                    .put("content", List.of("<s>", "b", "\u0301", " x").get(random.nextInt(4)))
                    .put("single_word", random.nextInt(4) == 0)
                    .put("lstrip", random.nextInt(4) == 0)
                    .put("rstrip", random.nextInt(4) == 0)
                    .put("normalized", random.nextBoolean())
                    .put("special", random.nextBoolean());
        }
        root.set("normalizer", part(NORMALIZERS, random));
        root.set("pre_tokenizer", part(SPLITS, random));
        root.set("post_processor", part(PROCESSORS, random));
        root.set("decoder", part(DECODERS, random));
        root.set("model", read(MODELS.get(random.nextInt(MODELS.size()))));
        for (int i = random.nextInt(4); i > 0; i--) {
            change(root, random);
        }
        String json = root.toString().replace("CHARSMAP", charsMap(random));
        if (random.nextInt(8) == 0) {
            int at = random.nextInt(json.length());
            json =
                    json.substring(0, at)
                            + "\"{}[],:0a\\".charAt(random.nextInt(10))
                            + json.substring(at + 1);
        }
        return json;
    }

    private static JsonNode part(List<String> parts, Random random) {
        return random.nextInt(3) == 0
                ? JSON.nullNode()
                : read(parts.get(random.nextInt(parts.size())));
    }

    private static JsonNode read(String quoted) {
        return JSON.readTree(quoted.replace("\\'", "\\u0027").replace('\'', '"'));
    }

    /** Changes, removes or doubles a value somewhere. */
    private static void change(ObjectNode root, Random random) {
        List<JsonNode> inner = new ArrayList<>();
        collect(root, inner);
        JsonNode node = inner.get(random.nextInt(inner.size()));
        JsonNode value = read(VALUES.get(random.nextInt(VALUES.size())));
        if (random.nextInt(4) == 0) {
            value = inner.get(random.nextInt(inner.size())).deepCopy();
        }
        if (node instanceof ObjectNode object && object.size() > 0) {
            List<String> names = List.copyOf(object.propertyNames());
            String name = names.get(random.nextInt(names.size()));
            if (random.nextInt(5) == 0) {
                object.remove(name);
            } else {
                object.set(name, value);
            }
        } else if (node instanceof ArrayNode array) {
            int at = random.nextInt(array.size() + 1);
            if (at < array.size() && random.nextBoolean()) {
                array.set(at, value);
            } else {
                array.insert(at, value);
            }
        }
    }

    private static void collect(JsonNode node, List<JsonNode> into) {
        if (node.isContainer()) {
            into.add(node);
            node.forEach(child -> collect(child, into));
        }
    }

    /** A table of random units, or of such that lead on. */
    private static String charsMap(Random random) {
        int units = random.nextInt(600);
        java.nio.ByteBuffer bytes =
                java.nio.ByteBuffer.allocate(4 + 4 * units + 8)
                        .order(java.nio.ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(random.nextInt(9) == 0 ? random.nextInt() : 4 * units);
        for (int i = 0; i < units; i++) {
            int label = i & 0xFF;
            bytes.putInt(
                    switch (random.nextInt(3)) {
                        case 0 -> random.nextInt();
                        case 1 -> label | random.nextInt(600) << 10 | random.nextInt(2) << 8;
                        default -> random.nextInt(12);
                    });
        }
        bytes.put("ab\0ß\0c\0".getBytes(java.nio.charset.StandardCharsets.UTF_8), 0, 8);
        return Base64.getEncoder().encodeToString(bytes.array());
    }
}

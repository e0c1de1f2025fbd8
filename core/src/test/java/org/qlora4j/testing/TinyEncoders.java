package org.qlora4j.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.qlora4j.export.ModelFolder;
import org.qlora4j.family.Models;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;

/** Small models with an encoder, whole with tokenizers, of random weights. */
public final class TinyEncoders {
    private static final String LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:?!#-'";

    private TinyEncoders() {}

    /** A T5 of version 1.1 whose tokenizer, as T5's, knows letters behind a space mark. */
    public static Path t5(Path folder) {
        List<String> vocabulary = new ArrayList<>();
        vocabulary.add("[\"<pad>\", 0.0]");
        vocabulary.add("[\"</s>\", 0.0]");
        vocabulary.add("[\"<unk>\", 0.0]");
        vocabulary.add("[\"\u2581\", -2.0]");
        letters().forEach(letter -> vocabulary.add("[\"" + letter + "\", -3.0]"));
        String config =
                """
                {"architectures": ["T5ForConditionalGeneration"], "model_type": "t5",
                 "vocab_size": 80, "d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 2,
                 "num_decoder_layers": 2, "num_heads": 4, "feed_forward_proj": "gated-gelu",
                 "tie_word_embeddings": false, "decoder_start_token_id": 0, "eos_token_id": 1,
                 "pad_token_id": 0, "initializer_range": 0.3}
                """;
        String tokenizer =
                """
                {"version": "1.0", "truncation": null, "padding": null,
                 "added_tokens": [%s, %s, %s], "normalizer": null,
                 "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581",
                   "prepend_scheme": "always", "split": true},
                 "post_processor": {"type": "TemplateProcessing",
                   "single": [{"Sequence": {"id": "A", "type_id": 0}},
                              {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                   "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                            {"SpecialToken": {"id": "</s>", "type_id": 0}},
                            {"Sequence": {"id": "B", "type_id": 0}},
                            {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                   "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
                 "decoder": {"type": "Metaspace", "replacement": "\u2581",
                   "prepend_scheme": "always", "split": true},
                 "model": {"type": "Unigram", "unk_id": 2, "byte_fallback": false,
                   "vocab": [%s]}}
                """
                        .formatted(
                                special(0, "<pad>"),
                                special(1, "</s>"),
                                special(2, "<unk>"),
                                String.join(", ", vocabulary));
        String names =
                """
                {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
                """;
        return made(folder, config, tokenizer, names);
    }

    /** A RoBERTa of three classes, whose tokenizer knows letters and GPT-2's mark of a space. */
    public static Path roberta(Path folder) {
        List<String> vocabulary = new ArrayList<>();
        List<String> tokens = new ArrayList<>(List.of("<s>", "<pad>", "</s>", "<unk>", "\u0120"));
        tokens.addAll(letters());
        for (int i = 0; i < tokens.size(); i++) {
            vocabulary.add("\"%s\": %d".formatted(tokens.get(i), i));
        }
        String config =
                """
                {"architectures": ["RobertaForSequenceClassification"], "model_type": "roberta",
                 "vocab_size": 80, "hidden_size": 32, "intermediate_size": 48,
                 "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 66,
                 "type_vocab_size": 1, "layer_norm_eps": 1e-5, "hidden_act": "gelu",
                 "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
                 "initializer_range": 0.3,
                 "id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}
                """;
        String tokenizer =
                """
                {"version": "1.0", "truncation": null, "padding": null,
                 "added_tokens": [%s, %s, %s, %s], "normalizer": null,
                 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false,
                   "trim_offsets": true, "use_regex": true},
                 "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2],
                   "cls": ["<s>", 0], "trim_offsets": true, "add_prefix_space": false},
                 "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
                   "use_regex": true},
                 "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>",
                   "continuing_subword_prefix": "", "end_of_word_suffix": "",
                   "fuse_unk": false, "byte_fallback": false, "vocab": {%s}, "merges": []}}
                """
                        .formatted(
                                special(0, "<s>"),
                                special(1, "<pad>"),
                                special(2, "</s>"),
                                special(3, "<unk>"),
                                String.join(", ", vocabulary));
        String names =
                """
                {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>",
                 "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
                """;
        return made(folder, config, tokenizer, names);
    }

    private static List<String> letters() {
        return LETTERS.chars().mapToObj(Character::toString).toList();
    }

    private static String special(int id, String token) {
        return """
        {"id": %d, "content": "%s", "single_word": false, "lstrip": false,
         "rstrip": false, "normalized": false, "special": true}\
        """
                .formatted(id, token);
    }

    private static Path made(Path folder, String config, String tokenizer, String names) {
        try {
            Path shape = Files.createDirectories(folder.resolve("shape"));
            Files.writeString(shape.resolve("config.json"), config);
            Files.writeString(shape.resolve("tokenizer.json"), tokenizer);
            Files.writeString(shape.resolve("tokenizer_config.json"), names);
            Path whole = Files.createDirectory(folder.resolve("model"));
            Engine.run(() -> {
                try (CausalModel model =
                        Models.random(shape, unquantized(), DType.F32, true, 5, null)) {
                    ModelFolder.write(model, shape, whole);
                }
            });
            return whole;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Weights as they are. */
    public static QuantConfig unquantized() {
        return QuantConfig.DEFAULT.withLoad4bit(false);
    }
}

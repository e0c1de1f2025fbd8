package org.qlora4j.tokenize;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.qlora4j.template.TemplateReferences;

/**
 * Ids, texts and special tokens of a real checkpoint, as Hugging Face's own libraries give them.
 */
public class TokenizerGoldenTest {
    /** The folder of SmolLM2-135M-Instruct; without it the test is skipped. */
    public static Path model() {
        Path file = Path.of(System.getProperty("qlora.smollm2", "missing/missing"));
        Path folder = requireNonNull(file.getParent());
        assumeTrue(Files.isDirectory(folder), "no folder " + folder + " (-Dqlora.smollm2)");
        return folder;
    }

    public static Map<String, Object> expected() {
        Path folder = Path.of(System.getProperty("qlora.golden", "missing"), "smollm2");
        assumeTrue(Files.isDirectory(folder), "no folder " + folder + " (-Dqlora.golden)");
        return TemplateReferences.json(TemplateReferences.folder(folder).read("expected.json"));
    }

    private record Sample(String text, List<Integer> tokens, String decoded) {
        int[] ids() {
            return tokens.stream().mapToInt(Integer::intValue).toArray();
        }
    }

    @SuppressWarnings("unchecked")
    private static List<Sample> samples() {
        List<Map<String, Object>> texts =
                (List<Map<String, Object>>) requireNonNull(expected().get("texts"));
        List<Sample> samples =
                texts.stream()
                        .map(text ->
                                new Sample(
                                        (String) requireNonNull(text.get("text")),
                                        (List<Integer>) requireNonNull(text.get("ids")),
                                        (String) requireNonNull(text.get("decoded"))))
                        .toList();
        assertThat(samples).hasSizeGreaterThanOrEqualTo(5);
        return samples;
    }

    @Test
    void texts_encodeAndDecodeAsReference() {
        try (Tokenizer tokenizer = Tokenizer.load(model())) {
            for (Sample sample : samples()) {
                assertThat(tokenizer.encode(sample.text()))
                        .as(sample.text())
                        .isEqualTo(sample.ids());
                assertThat(tokenizer.decode(sample.ids(), false)).isEqualTo(sample.decoded());
            }
        }
    }

    @Test
    void stream_givesWholeCharactersAndTheWholeText() {
        try (Tokenizer tokenizer = Tokenizer.load(model())) {
            for (Sample sample : samples()) {
                TokenStream stream = tokenizer.stream(false);
                StringBuilder text = new StringBuilder();
                for (int id : sample.ids()) {
                    String piece = stream.push(id);
                    assertThat(piece).doesNotContain("\ufffd");
                    text.append(piece);
                }
                assertThat(text.append(stream.finish())).hasToString(sample.decoded());
            }
        }
    }

    @Test
    void streamEndingInsideACharacter_showsTheRestOnFinish() {
        try (Tokenizer tokenizer = Tokenizer.load(model())) {
            int[] ids = tokenizer.encode("ok 𓀀"); // the hieroglyph's bytes take several tokens
            TokenStream stream = tokenizer.stream(false);
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < ids.length - 1; i++) {
                text.append(stream.push(ids[i]));
            }
            assertThat(text.toString().strip()).isEqualTo("ok");
            assertThat(stream.finish()).contains("\ufffd");
            assertThat(stream.push(tokenizer.encode("ok")[0])).isEqualTo("ok"); // afresh
        }
    }

    @Test
    void brokenBytesWithoutEnd_areShownInTheEnd() {
        try (Tokenizer tokenizer = Tokenizer.load(model())) {
            int[] emoji = tokenizer.encode("𓀀");
            TokenStream stream = tokenizer.stream(false);
            String text = "";
            for (int i = 0; i < 40; i++) {
                text += stream.push(emoji[0]); // the first byte of a character, over and over
            }
            assertThat(text).contains("\ufffd");
        }
    }

    @Test
    void specialTokens_areThoseOfTheCheckpoint() {
        try (Tokenizer tokenizer = Tokenizer.load(model())) {
            assertThat(tokenizer.bosId()).hasValue(1);
            assertThat(tokenizer.eosId()).hasValue(2);
            assertThat(tokenizer.padId()).hasValue(2);
            assertThat(tokenizer.unkId()).hasValue(0);
            assertThat(tokenizer.vocabSize()).isEqualTo(49152);
            assertThat(tokenizer.tokenId("<|im_end|>")).hasValue(2);
            assertThat(tokenizer.tokenId("no such token")).isEmpty();
            assertThat(tokenizer.token(1)).contains("<|im_start|>");
            assertThat(tokenizer.specialTokens()).containsEntry("eos_token", "<|im_end|>");
            assertThat(tokenizer.decode(new int[] {1, 4093, 198, 6004, 2}, true))
                    .isEqualTo("user\nhi");
            assertThat(tokenizer.chatTemplate()).isPresent();
        }
    }

    @Test
    void loading_printsNothing() {
        PrintStream before = System.out;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try (Tokenizer tokenizer = Tokenizer.load(model())) {
            assertThat(tokenizer.encode("hi")).isNotEmpty();
        } finally {
            System.setOut(before);
        }
        assertThat(printed.toString(StandardCharsets.UTF_8)).isEmpty();
    }
}

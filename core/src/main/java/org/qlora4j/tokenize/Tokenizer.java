package org.qlora4j.tokenize;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.template.NamedTemplates;
import org.qlora4j.template.TemplateText;

/**
 * Text to token ids and back, exactly as {@code tokenizer.json} says, and the special tokens that
 * the files beside it name. Safe for use by several threads. The work is done by Hugging Face's own
 * tokenizer in Rust, through DJL, which unpacks its native library once into {@code ~/.djl.ai}, or
 * into the temporary folder where the home cannot be written; the environment variable {@code
 * DJL_CACHE_DIR} names another place. Nothing is ever downloaded.
 */
public final class Tokenizer implements AutoCloseable {
    private final NativeTokenizer tokenizer;
    private final TextPieces pieces;
    private final TokenizerLimits limits;
    private final Vocabulary vocabulary;
    private @Nullable FewestTokens fewest; // once a prompt is long
    private final TokenizerFiles files;
    private final Map<String, String> specialTokens;
    private @Nullable ChatTemplate chatTemplate;
    private boolean chatTemplateRead = false;

    private Tokenizer(
            NativeTokenizer tokenizer,
            TokenizerLimits limits,
            Vocabulary vocabulary,
            TokenizerFiles files) {
        this.tokenizer = tokenizer;
        this.limits = limits;
        this.pieces = new TextPieces(tokenizer, limits, TextPieces.LENGTH);
        this.vocabulary = vocabulary;
        this.files = files;
        this.specialTokens = new LinkedHashMap<>(files.tokens());
        for (String name : files.ids().keySet()) {
            files.idOf(name).ifPresent(id -> putToken(name, id));
        }
    }

    private void putToken(String name, int id) {
        String token = vocabulary.token(id);
        if (token != null) {
            specialTokens.put(name, token);
        }
    }

    /**
     * Reads the tokenizer of a checkpoint folder: {@code tokenizer.json}, or the older files that
     * one can be made of. Where they exist it reads {@code tokenizer_config.json}, {@code
     * special_tokens_map.json}, {@code generation_config.json}, {@code config.json} and the chat
     * template.
     *
     * @throws FormatException if the first is missing or one of them is damaged
     */
    public static Tokenizer load(Path folder) {
        return load(folder, List.of());
    }

    /**
     * Reads a tokenizer and adds tokens behind its own ({@link NewTokens}).
     *
     * @throws FormatException as {@link #load(Path)} does
     * @throws ConfigException if it has one of the tokens already
     */
    public static Tokenizer load(Path folder, List<String> newTokens) {
        TokenizerSource source = TokenizerSource.of(folder);
        Path file = source.file();
        String json = newTokens.isEmpty() ? source.json() : NewTokens.added(source, newTokens);
        TokenizerLimits limits = TokenizerCheck.check(json, file);
        Vocabulary vocabulary = Vocabulary.read(json, file);
        TokenizerFiles files = TokenizerFiles.read(folder);
        return new Tokenizer(NativeTokenizer.of(json, file.toString()), limits, vocabulary, files);
    }

    /**
     * Whether a folder has a tokenizer, as {@code tokenizer.json} or in an older form; {@link
     * #load} may yet refuse it.
     */
    public static boolean isIn(Path folder) {
        return TokenizerSource.isIn(folder);
    }

    /**
     * Ids of a text; special tokens written in the text are found, none is added.
     *
     * @throws FormatException if the text is longer than the tokenizer can take, or has a run of
     *     blanks longer than {@link TokenizerLimits#MAX_BLANKS}
     */
    public int[] encode(String text) {
        return encode(text, false);
    }

    /**
     * Ids of a text, with the tokenizer's own special tokens (such as BOS) around it if asked.
     *
     * @throws FormatException as {@link #encode(String)} does
     */
    public int[] encode(String text, boolean addSpecialTokens) {
        limits.check(text);
        return pieces.encode(text, addSpecialTokens);
    }

    /**
     * {@link #encode(String, boolean)}, with what the text is before a message that refuses it.
     *
     * @param what such as {@code prompt 3}
     */
    public int[] encode(String what, String text, boolean addSpecialTokens) {
        try {
            return encode(text, addSpecialTokens);
        } catch (FormatException e) {
            throw new FormatException(what + ": " + e.getMessage(), e);
        }
    }

    /**
     * Refuses a prompt that surely has more tokens than a model's context, before they are counted:
     * that takes seconds for millions of letters.
     *
     * @param what the prompt is, for the message
     * @param context the model's context length
     * @throws ConfigException if they do
     */
    public void checkPrompt(String what, String text, int context) {
        if (text.length() <= context) { // the bound is no more than its letters
            return;
        }
        int tokens = fewest().of(text);
        if (tokens > context) {
            throw ConfigException.of(
                    "%s has at least %d tokens, the model's context is %d; shorten it",
                    what, tokens, context);
        }
    }

    private synchronized FewestTokens fewest() {
        if (fewest == null) {
            fewest = FewestTokens.of(vocabulary, limits);
        }
        return fewest;
    }

    /** {@link #encode} in pieces of another length, if the tokenizer allows any; for tests. */
    int[] encodeInPieces(String text, boolean addSpecialTokens, int length) {
        return new TextPieces(tokenizer, limits, length).encode(text, addSpecialTokens);
    }

    /** Whether long texts are encoded in pieces. */
    boolean cuts() {
        return limits.cuts();
    }

    /**
     * Ids of a text that a model is to continue. Before them stand the special tokens that the
     * tokenizer puts before every text. A BOS that the text begins with is not put there a second
     * time.
     *
     * @param what the text is, for the error of one that is too long
     */
    public int[] encodeToContinue(String what, String text) {
        int[] ids = encode(what, text, true);
        OptionalInt bos = bosId();
        boolean doubled =
                ids.length > 1
                        && bos.isPresent()
                        && ids[0] == bos.getAsInt()
                        && ids[1] == bos.getAsInt();
        int[] alone = doubled ? encode(what, text, false) : ids;
        return doubled && alone.length > 0 && alone[0] == bos.getAsInt()
                ? Arrays.copyOfRange(ids, 1, ids.length)
                : ids;
    }

    /**
     * Tokens that steer the model when a text holds them: those that {@code tokenizer.json} calls
     * special, and those written like one, {@code <|…}.
     */
    public Set<String> controlTokens() {
        return vocabulary.control();
    }

    /** Text of ids; special tokens are printed unless skipped. */
    public String decode(int[] ids, boolean skipSpecialTokens) {
        long chars = 64;
        for (int id : ids) {
            chars += vocabulary.length(id) * 4L;
        }
        for (PatternGuard pattern : limits.decoding()) {
            for (int id : ids) {
                pattern.check(token(id).orElse(""));
            }
        }
        return tokenizer.decode(ids, skipSpecialTokens, chars);
    }

    /** A decoder for ids that arrive one by one, as a model generates them. */
    public TokenStream stream(boolean skipSpecialTokens) {
        return new TokenStream(this, skipSpecialTokens);
    }

    /** Number of tokens, added ones included; the model's embedding may have more rows. */
    public int vocabSize() {
        return vocabulary.size();
    }

    /** Rows that an embedding table needs for them: one more than the largest id. */
    public int idLimit() {
        return vocabulary.largestId() + 1;
    }

    /**
     * The id of a token written as in {@code tokenizer.json}, or empty; this is not {@link
     * #encode}.
     */
    public OptionalInt tokenId(String token) {
        Integer id = vocabulary.id(token);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    /** The token with that id, written as in {@code tokenizer.json}, or empty. */
    public Optional<String> token(int id) {
        return Optional.ofNullable(vocabulary.token(id));
    }

    /**
     * Special tokens by name, such as {@code eos_token}: what {@code tokenizer_config.json} says,
     * then {@code special_tokens_map.json}, then the ids in {@code generation_config.json} and
     * {@code config.json}.
     */
    public Map<String, String> specialTokens() {
        return Map.copyOf(specialTokens);
    }

    public OptionalInt bosId() {
        return specialId("bos_token");
    }

    public OptionalInt eosId() {
        return specialId("eos_token");
    }

    public OptionalInt padId() {
        return specialId("pad_token");
    }

    public OptionalInt unkId() {
        return specialId("unk_token");
    }

    private OptionalInt specialId(String name) {
        String token = specialTokens.get(name);
        return token == null ? files.idOf(name) : tokenId(token);
    }

    /**
     * The checkpoint's chat template, with its special tokens; read when first asked for.
     *
     * @return empty if the checkpoint has none
     * @throws FormatException with line and column if the template breaks the grammar
     */
    public synchronized Optional<ChatTemplate> chatTemplate() {
        if (!chatTemplateRead) {
            Map<String, Object> variables = files.templateTokens();
            variables.putAll(specialTokens);
            chatTemplate =
                    files.chatTemplate().map(parsed -> parsed.withTokens(variables)).orElse(null);
            chatTemplateRead = true;
        }
        return Optional.ofNullable(chatTemplate);
    }

    /**
     * Takes another chat template than the checkpoint's from now on; not while another thread uses
     * this tokenizer.
     *
     * @param nameOrFile one of {@link NamedTemplates#NAMES}, a Jinja file, or {@link
     *     NamedTemplates#OF_TOKENIZER} for the checkpoint's own
     * @throws FormatException if it is none of these, or breaks the grammar
     */
    public synchronized void useChatTemplate(String nameOrFile) {
        chatTemplateRead = false;
        if (nameOrFile.equals(NamedTemplates.OF_TOKENIZER)) {
            return;
        }
        TemplateText text = NamedTemplates.read(nameOrFile);
        Map<String, Object> variables = files.templateTokens();
        variables.putAll(
                NamedTemplates.NAMES.contains(nameOrFile)
                        ? tokensOfNamedTemplates()
                        : specialTokens);
        chatTemplate = ChatTemplate.of(text.text(), text.origin(), true).withTokens(variables);
        chatTemplateRead = true;
    }

    /**
     * Puts a template in the place of the one this checkpoint has, with this tokenizer's special
     * tokens.
     *
     * @param text in Jinja
     * @param origin where it comes from, for messages
     */
    public synchronized void useChatTemplate(String text, String origin) {
        Map<String, Object> variables = files.templateTokens();
        variables.putAll(specialTokens);
        chatTemplate = ChatTemplate.of(text, origin, true).withTokens(variables);
        chatTemplateRead = true;
    }

    /**
     * The special tokens that a named template prints: BOS only for a tokenizer that puts one
     * before texts by itself, for others were not trained to see it there.
     */
    private Map<String, Object> tokensOfNamedTemplates() {
        Map<String, Object> tokens = new LinkedHashMap<>(specialTokens);
        if (!addsBos()) {
            tokens.put("bos_token", "");
        }
        return tokens;
    }

    /** Whether {@link #encode(String, boolean)} puts a BOS before a text. */
    public boolean addsBos() {
        OptionalInt bos = bosId();
        int[] around = bos.isPresent() ? encode("a", true) : new int[0];
        return around.length > 0 && around[0] == bos.getAsInt();
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}

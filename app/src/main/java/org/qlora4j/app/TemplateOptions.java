package org.qlora4j.app;

import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.LanguageModel;
import org.qlora4j.error.ConfigException;
import picocli.CommandLine.Option;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/** How chats become prompts, as options of commands that answer. */
final class TemplateOptions {
    @Option(
            names = "--chat-template-kwargs",
            paramLabel = "JSON",
            description =
                    "Variables for the chat template, e.g. {\"enable_thinking\": false}; those of an adapter's run are taken by themselves.")
    @Nullable String chatTemplateKwargs;

    @Option(
            names = "--sanitize-control-tokens",
            description =
                    "Keep special tokens such as <|im_end|> that stand in the prompt letters, so that they cannot end its turn.")
    boolean sanitizeControlTokens;

    /**
     * The variables.
     *
     * @throws ConfigException if they are no JSON object
     */
    Map<String, Object> variables() {
        if (chatTemplateKwargs == null) {
            return Map.of();
        }
        try {
            @SuppressWarnings("unchecked") // names of a JSON object are strings
            Map<String, Object> variables =
                    JsonMapper.shared().readValue(chatTemplateKwargs, Map.class);
            return variables;
        } catch (JacksonException e) {
            throw ConfigException.of(
                    "--chat-template-kwargs must be a JSON object such as {\"enable_thinking\": false}, got %s",
                    chatTemplateKwargs);
        }
    }

    /** Tells a model; returns it. */
    LanguageModel on(LanguageModel model) {
        LanguageModel told = model.withChatTemplateKwargs(variables());
        return sanitizeControlTokens ? told.withSanitizedControlTokens() : told;
    }
}

package org.qlora4j.langchain4j;

import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Prompt;
import org.qlora4j.TextRequest;
import org.qlora4j.TextService;
import org.qlora4j.data.Row;
import org.qlora4j.grammar.JsonGrammar;
import org.qlora4j.grammar.ToolForm;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A request of LangChain4j as a service takes it.
 *
 * @param modelName that the response tells
 * @param toolForm how the answer calls tools; null if it may call none
 * @param tools names of those that it may call
 */
record Asked(
        TextRequest request, String modelName, @Nullable ToolForm toolForm, Set<String> tools) {
    /** What the base model is called. */
    static final String BASE = "base";

    /**
     * Reads a request.
     *
     * @throws ModelNotFoundException if it names an adapter that the service has not
     * @throws UnsupportedFeatureException if it asks what models of this library cannot do
     */
    static Asked of(Settings settings, ChatRequest asked) {
        ChatRequestParameters parameters = asked.parameters();
        String adapter = adapter(settings.service(), parameters.modelName());
        Map<String, Object> record = new LinkedHashMap<>();
        record.put("messages", asked.messages().stream().map(Messages::of).toList());
        JsonGrammar grammar = grammar(parameters.responseFormat());
        List<ToolSpecification> specifications = parameters.toolSpecifications();
        ToolForm form = null;
        Map<String, JsonNode> tools = new LinkedHashMap<>();
        if (specifications != null
                && !specifications.isEmpty()
                && parameters.toolChoice() != ToolChoice.NONE) {
            form = toolForm(settings.service(), adapter);
            if (grammar != null) {
                throw new UnsupportedFeatureException(
                        "tools and a response format exclude each other here");
            }
            record.put("tools", Messages.tools(specifications));
            specifications.forEach(tool -> tools.put(tool.name(), schema(tool)));
            grammar = parameters.toolChoice() == ToolChoice.REQUIRED ? form.grammar(tools) : null;
        }
        Prompt prompt = new Prompt.OfRecord(new Row("the request", 1, record), null);
        TextRequest request =
                new TextRequest(adapter, prompt, settings.generation(parameters), grammar);
        return new Asked(
                request, adapter == null ? BASE : adapter, form, Set.copyOf(tools.keySet()));
    }

    /** The adapter of a model's name; null for the base model. */
    static @Nullable String adapter(TextService service, @Nullable String modelName) {
        if (modelName == null || modelName.equals(BASE)) {
            return null;
        }
        if (!service.adapters().contains(modelName)) {
            throw new ModelNotFoundException(
                    "there is no adapter %s; the service has %s"
                            .formatted(modelName, service.adapters()));
        }
        return modelName;
    }

    private static ToolForm toolForm(TextService service, @Nullable String adapter) {
        ToolForm form = ToolForm.of(service.chatTemplate(adapter));
        if (form == null) {
            throw new UnsupportedFeatureException(
                    "the chat template of this model writes no tools that are known");
        }
        return form;
    }

    private static JsonNode schema(ToolSpecification tool) {
        return json(Messages.schema(tool.parameters()));
    }

    private static JsonNode json(Map<String, Object> schema) {
        return JsonMapper.shared().valueToTree(schema);
    }

    private static @Nullable JsonGrammar grammar(@Nullable ResponseFormat format) {
        if (format == null || format.type() == ResponseFormatType.TEXT) {
            return null;
        }
        return format.jsonSchema() == null
                ? JsonGrammar.anyObject()
                : JsonGrammar.of(json(Messages.schema(format.jsonSchema().rootElement())));
    }
}

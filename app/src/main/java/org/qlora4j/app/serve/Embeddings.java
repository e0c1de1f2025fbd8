package org.qlora4j.app.serve;

import io.helidon.webserver.http.ServerResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Prompt;
import org.qlora4j.TextService;

/** {@code POST /v1/embeddings}: the mean of each text's last hidden states. */
final class Embeddings {
    private final TextService service;
    private final ApiConfig config;

    Embeddings(TextService service, ApiConfig config) {
        this.service = service;
        this.config = config;
    }

    void answer(Fields fields, @Nullable String adapter, ServerResponse response) {
        boolean base64 =
                switch (fields.text("encoding_format")) {
                    case null -> false;
                    case "float" -> false;
                    case "base64" -> true;
                    default ->
                            throw ApiError.field(
                                    "encoding_format", "encoding_format must be float or base64");
                };
        List<Object> data = new ArrayList<>();
        long tokens = 0;
        for (List<Integer> ids : new PromptIds(service).of(fields, "input")) {
            TextService.Embedded embedded = service.embed(adapter, new Prompt.Ids(ids));
            tokens += embedded.tokens();
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("object", "embedding");
            entry.put("index", data.size());
            entry.put("embedding", base64 ? base64(embedded.vector()) : embedded.vector());
            data.add(entry);
        }
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("object", "list");
        out.put("data", data);
        out.put("model", adapter == null ? config.modelName() : adapter);
        out.put("usage", Map.of("prompt_tokens", tokens, "total_tokens", tokens));
        Reply.json(response, 200, out);
    }

    private static String base64(float[] vector) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * vector.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(vector);
        return Base64.getEncoder().encodeToString(bytes.array());
    }
}

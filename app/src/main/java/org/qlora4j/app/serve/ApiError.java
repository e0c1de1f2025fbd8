package org.qlora4j.app.serve;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A failure as OpenAI's API tells it: a status and an object {@code error}. */
final class ApiError extends RuntimeException {
    private final int status;
    private final String type;
    private final @Nullable String param;
    private final @Nullable String code;

    private ApiError(
            int status,
            String type,
            String message,
            @Nullable String param,
            @Nullable String code) {
        super(message, null, false, false);
        this.status = status;
        this.type = type;
        this.param = param;
        this.code = code;
    }

    /** The client's mistake, in the field that is named. */
    static ApiError field(String param, String message) {
        return new ApiError(400, "invalid_request_error", message, param, null);
    }

    /** The client's mistake. */
    static ApiError of(int status, String code, String message) {
        String type =
                switch (status) {
                    case 401 -> "authentication_error";
                    case 403 -> "permission_error";
                    case 429 -> "rate_limit_error";
                    case 500, 503, 504 -> "server_error";
                    default -> "invalid_request_error";
                };
        return new ApiError(status, type, message, null, code);
    }

    int status() {
        return status;
    }

    Map<String, @Nullable Object> json() {
        Map<String, @Nullable Object> error = new LinkedHashMap<>();
        error.put("message", getMessage());
        error.put("type", type);
        error.put("param", param);
        error.put("code", code);
        Map<String, @Nullable Object> out = new LinkedHashMap<>();
        out.put("error", error);
        return out;
    }
}

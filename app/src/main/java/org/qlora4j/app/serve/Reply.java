package org.qlora4j.app.serve;

import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import tools.jackson.databind.json.JsonMapper;

/** Writes JSON, whole or as server-sent events. */
final class Reply {
    private Reply() {}

    static void json(ServerResponse response, int status, Object body) {
        response.status(status);
        response.header(HeaderNames.CONTENT_TYPE, "application/json");
        response.send(JsonMapper.shared().writeValueAsBytes(body));
    }

    /** A stream of events; closing it ends the answer. */
    static final class Events implements AutoCloseable {
        private final OutputStream out;

        Events(ServerResponse response) {
            response.header(HeaderNames.CONTENT_TYPE, "text/event-stream; charset=utf-8");
            response.header(HeaderNames.CACHE_CONTROL, "no-cache");
            this.out = response.outputStream();
        }

        /**
         * Sends an event at once.
         *
         * @throws UncheckedIOException if the client has gone
         */
        void send(Object json) {
            line(JsonMapper.shared().writeValueAsString(json));
        }

        /** Says that all has been sent, as OpenAI does. */
        void done() {
            line("[DONE]");
        }

        private void line(String data) {
            try {
                out.write(("data: " + data + "\n\n").getBytes(StandardCharsets.UTF_8));
                out.flush();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        @Override
        public void close() {
            try {
                out.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}

package org.qlora4j.app.serve;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.qlora4j.TextService;

/** Counts of a server's life as Prometheus reads them. */
final class Metrics {
    /** What is counted of requests: route and status. */
    private record Kind(String route, int status) implements Comparable<Kind> {
        @Override
        public int compareTo(Kind other) {
            int byRoute = route.compareTo(other.route);
            return byRoute != 0 ? byRoute : Integer.compare(status, other.status);
        }
    }

    private final Map<Kind, Long> requests = new TreeMap<>();
    private final Map<String, Double> seconds = new TreeMap<>();

    /** Counts a request that has ended. */
    synchronized void count(String route, int status, double took) {
        requests.merge(new Kind(route, status), 1L, Long::sum);
        seconds.merge(route, took, Double::sum);
    }

    synchronized String text(TextService service) {
        StringBuilder out = new StringBuilder();
        out.append("# TYPE http_server_requests_total counter\n");
        requests.forEach((kind, count) ->
                out.append(
                        "http_server_requests_total{route=\"%s\",status=\"%d\"} %d%n"
                                .formatted(kind.route, kind.status, count)));
        out.append("# TYPE http_server_request_seconds_sum counter\n");
        seconds.forEach((route, sum) ->
                out.append(
                        String.format(
                                Locale.ROOT,
                                "http_server_request_seconds_sum{route=\"%s\"} %.3f%n",
                                route,
                                sum)));
        TextService.Counts counts = service.counts();
        gauge(out, "qlora_requests_running", service.running());
        gauge(out, "qlora_requests_waiting", service.waiting());
        counter(out, "qlora_prompt_tokens_total", counts.promptTokens());
        counter(out, "qlora_prompt_tokens_reused_total", counts.reusedTokens());
        counter(out, "qlora_generated_tokens_total", counts.newTokens());
        counter(out, "qlora_answers_total", counts.answers());
        counter(out, "qlora_answers_cancelled_total", counts.cancelled());
        TextService.Memory memory = service.memory();
        gauge(out, "qlora_kv_cache_bytes", memory.kvCacheBytes());
        gauge(out, "qlora_kv_cache_limit_bytes", memory.kvCacheLimit());
        counter(out, "qlora_requests_preempted_total", memory.preempted());
        gauge(out, "qlora_adapters", service.adapters().size());
        gauge(out, "qlora_adapter_bytes", memory.adapterBytes());
        gauge(out, "qlora_adapter_limit_bytes", memory.adapterLimit());
        counter(out, "qlora_adapters_evicted_total", memory.evicted());
        return out.toString();
    }

    private static void gauge(StringBuilder out, String name, long value) {
        out.append("# TYPE %s gauge%n%s %d%n".formatted(name, name, value));
    }

    private static void counter(StringBuilder out, String name, long value) {
        out.append("# TYPE %s counter%n%s %d%n".formatted(name, name, value));
    }
}

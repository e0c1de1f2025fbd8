package org.qlora4j.app;

import java.util.List;
import java.util.Map;

/** Environment variables of {@code qlora doctor} that change speed or memory. */
final class EnvironmentReport {
    private static final List<String> NAMES =
            List.of(
                    "OMP_NUM_THREADS",
                    "OMP_WAIT_POLICY",
                    "GOMP_SPINCOUNT",
                    "OPENBLAS_THREAD_TIMEOUT",
                    "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
                    "MALLOC_ARENA_MAX",
                    "CUDA_VISIBLE_DEVICES",
                    "QLORA_CPU",
                    "QLORA_HEAP",
                    "QLORA_JAVA_OPTS");

    private EnvironmentReport() {}

    static List<Report> lines() {
        return lines(System.getenv());
    }

    static List<Report> lines(Map<String, String> environment) {
        return NAMES.stream()
                .map(name -> new Report(name, environment.getOrDefault(name, "not set")))
                .toList();
    }
}

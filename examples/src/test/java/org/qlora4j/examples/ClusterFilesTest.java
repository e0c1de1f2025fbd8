package org.qlora4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.qlora4j.world.Membership;
import tools.jackson.core.JsonParser;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MappingIterator;
import tools.jackson.dataformat.yaml.YAMLMapper;

/** Files for clusters say what the processes need to find each other. */
class ClusterFilesTest {
    private static final Path FOLDER = Path.of("cluster");

    private static List<JsonNode> documents(String name) throws IOException {
        YAMLMapper yaml = new YAMLMapper();
        try (JsonParser parser = yaml.createParser(Files.readString(FOLDER.resolve(name)));
                MappingIterator<JsonNode> all = yaml.readerFor(JsonNode.class).readValues(parser)) {
            return all.readAll();
        }
    }

    private static Map<String, String> values(JsonNode env) {
        Map<String, String> out = new HashMap<>();
        env.forEach(each -> {
            if (each.path("value").isString()) { // as Kubernetes wants it, numbers too
                out.put(each.get("name").asString(), each.get("value").asString());
            }
        });
        return out;
    }

    @Test
    void job_startsAsManyProcessesAsItSays() throws IOException {
        List<JsonNode> all = documents("job.yaml");
        JsonNode service = all.get(0);
        JsonNode job = all.get(1);
        JsonNode spec = job.get("spec");
        JsonNode pod = spec.get("template").get("spec");
        JsonNode env = pod.get("containers").get(0).get("env");
        String name = job.get("metadata").get("name").asString();
        Map<String, String> variables = values(env);
        for (int rank = 0; rank < 4; rank++) {
            variables.put("RANK", String.valueOf(rank));
            Membership membership = Membership.of(variables);
            assertThat(membership.rank()).isEqualTo(rank);
            assertThat(membership.size())
                    .isEqualTo(spec.get("completions").asInt())
                    .isEqualTo(spec.get("parallelism").asInt());
        }
        assertThat(env.get(0).get("name").asString()).isEqualTo("RANK");
        assertThat(service.get("metadata").get("name").asString())
                .isEqualTo(pod.get("subdomain").asString());
        assertThat(service.get("spec").get("selector").get("job-name").asString()).isEqualTo(name);
        assertThat(variables)
                .containsEntry("MASTER_ADDR", name + "-0." + pod.get("subdomain").asString())
                .containsEntry(
                        "MASTER_PORT",
                        service.get("spec").get("ports").get(0).get("port").asString());
    }

    @Test
    void trainJob_hasOneProcessToAPod() throws IOException {
        JsonNode trainer = documents("trainjob.yaml").getFirst().get("spec").get("trainer");
        Map<String, String> variables = values(trainer.get("env")); // and what the runtime sets
        variables.put("PET_NNODES", trainer.get("numNodes").asString());
        variables.put("PET_NPROC_PER_NODE", trainer.get("numProcPerNode").asString());
        variables.put("PET_NODE_RANK", "3");
        variables.put("PET_MASTER_ADDR", "qlora-train-node-0-0.qlora-train");
        variables.put("PET_MASTER_PORT", "29500");
        Membership membership = Membership.of(variables);
        assertThat(membership.size()).isEqualTo(4);
        assertThat(membership.rank()).isEqualTo(3);
    }

    @Test
    @DisabledOnOs(value = OS.WINDOWS, disabledReason = "a script of bash")
    void batchScript_isBash() throws Exception {
        Process check =
                new ProcessBuilder("bash", "-n", FOLDER.resolve("train.sbatch").toString())
                        .inheritIO()
                        .start();
        assertThat(check.waitFor()).isZero();
    }
}

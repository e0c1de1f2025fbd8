package org.qlora4j.world;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.ConfigException;

/** Variables as the starters of processes set them. */
class MembershipTest {
    private static Membership of(String words) {
        Map<String, String> environment = new TreeMap<>();
        for (String word : words.split(" ", -1)) {
            String[] parts = word.split("=", 2);
            environment.put(parts[0], parts.length > 1 ? parts[1] : "");
        }
        return Membership.of(environment);
    }

    @Test
    void torchrun_tellsEverything() {
        assertThat(
                        of(
                                "RANK=3 WORLD_SIZE=4 LOCAL_RANK=1 LOCAL_WORLD_SIZE=2 MASTER_ADDR=10.0.0.1 MASTER_PORT=1234"
                                        + " QLORA_CLUSTER_TOKEN=word"))
                .isEqualTo(new Membership(3, 4, 1, 2, "10.0.0.1", 1234, "word"));
        assertThat(of("RANK=1 WORLD_SIZE=2 MASTER_ADDR=host"))
                .isEqualTo(new Membership(1, 2, 0, 1, "host", 29500, ""));
    }

    @Test
    void slurm_countsInsideSrunOrWithAnAddress() {
        String job = "SLURM_PROCID=2 SLURM_NTASKS=4 SLURM_LOCALID=1";
        assertThat(of(job + " MASTER_ADDR=n1"))
                .isEqualTo(new Membership(2, 4, 1, 1, "n1", 29500, ""));
        assertThat(of(job + " SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=3 MASTER_ADDR=n1 MASTER_PORT=7"))
                .isEqualTo(new Membership(2, 3, 1, 1, "n1", 7, ""));
        assertThat(of("SLURM_PROCID=0 SLURM_NTASKS=4")).isEqualTo(Membership.ALONE); // the script
        assertThatThrownBy(() -> of(job + " SLURM_STEP_ID=0"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("SLURM_NTASKS is 4 but MASTER_ADDR is not set; put export");
    }

    @Test
    void kubeflow_countsNodes() {
        String node = "PET_NNODES=2 PET_NODE_RANK=1 PET_MASTER_ADDR=job-0 PET_MASTER_PORT=29400";
        assertThat(of(node)).isEqualTo(new Membership(1, 2, 0, 1, "job-0", 29400, ""));
        assertThatThrownBy(() -> of(node + " PET_NPROC_PER_NODE=4"))
                .hasMessageContaining("qlora launch -n 4 train");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "RANK=0 WORLD_SIZE=2 | MASTER_ADDR is not set",
                "WORLD_SIZE=2 MASTER_ADDR=x | RANK is not set",
                "RANK=2 WORLD_SIZE=2 MASTER_ADDR=x | RANK must be from 0 to 1 for 2 processes, got 2",
                "RANK=a WORLD_SIZE=2 MASTER_ADDR=x | RANK must be a whole number, got a",
                "RANK=0 WORLD_SIZE=2 MASTER_ADDR=x MASTER_PORT=70000 | MASTER_PORT must be from 1 to 65535, got 70000",
                "RANK=0 WORLD_SIZE=0 MASTER_ADDR=x | WORLD_SIZE must be at least 1, got 0"
            })
    void whatIsMissingOrNoNumber_isNamed(String words, String part) {
        assertThatThrownBy(() -> of(words))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(part);
    }

    @Test
    void nothingOrOneProcess_isAlone() {
        assertThat(of("PATH=/bin")).isEqualTo(Membership.ALONE);
        assertThat(of("RANK=0 WORLD_SIZE=1 MASTER_ADDR=x")).isEqualTo(Membership.ALONE);
        assertThat(World.join(Membership.ALONE, Duration.ofSeconds(1))).isSameAs(World.ALONE);
    }
}

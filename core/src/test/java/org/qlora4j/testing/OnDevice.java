package org.qlora4j.testing;

import java.util.Arrays;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.qlora4j.error.DeviceException;
import org.qlora4j.kernel.DeviceChoice;
import org.qlora4j.kernel.Kernels;

/**
 * Lets all tests compute on the device named by the system property {@code qlora.device} (auto,
 * cpu, cuda:0; else the CPU), before the first makes a tensor: {@code mvn test
 * -Dqlora.device=cuda:0}. Where that device is missing they are skipped, and say why. JUnit finds
 * this class by itself.
 */
public final class OnDevice implements ExecutionCondition {
    private static final ConditionEvaluationResult RESULT =
            select(System.getProperty("qlora.device", ""));

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        return RESULT;
    }

    private static ConditionEvaluationResult select(String key) {
        if (key.isEmpty()) {
            return ConditionEvaluationResult.enabled("no qlora.device: the CPU");
        }
        DeviceChoice wanted =
                Arrays.stream(DeviceChoice.values())
                        .filter(choice -> choice.key().equals(key))
                        .findFirst()
                        .orElseThrow(() ->
                                new IllegalArgumentException(
                                        "qlora.device must be auto, cpu or cuda:0, got " + key));
        try {
            return ConditionEvaluationResult.enabled("on " + Kernels.select(wanted).deviceName());
        } catch (DeviceException e) {
            return ConditionEvaluationResult.disabled(e.getMessage());
        }
    }
}

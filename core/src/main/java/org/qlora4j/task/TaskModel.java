package org.qlora4j.task;

import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;

/** A model as tasks see it. */
public interface TaskModel {
    /**
     * Answers requests.
     *
     * @param done takes each answer with the index of its request, in the order in which they come
     */
    void answer(List<TaskRequest> requests, BiConsumer<Integer, TaskResponse> done);

    /**
     * The text of a chat by the model's chat template.
     *
     * @param open whether the assistant's next turn is opened; else the last message is gone on
     *     with
     */
    String chat(List<Map<String, String>> messages, boolean open);
}

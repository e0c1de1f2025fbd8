package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Chat;
import org.qlora4j.data.Records;
import org.qlora4j.error.UserException;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.TrainResult;
import org.qlora4j.testing.TinyLlama;

/** Training on what a program holds is training on a file of the same records. */
class RecordsTest {
    @TempDir Path folder;

    private static Chat chat(int i) {
        return new Chat(
                List.of(
                        Map.of("role", "user", "content", "a" + i),
                        Map.of("role", "assistant", "content", "b " + i)),
                null);
    }

    private static List<Chat> chats(int count) {
        return IntStream.range(0, count).mapToObj(RecordsTest::chat).toList();
    }

    private RunConfig config(String run, int steps, String... words) {
        String[] all =
                Stream.concat(
                                Stream.of(
                                        "model.model_name_or_path=" + TinyLlama.folder(),
                                        "train.output_dir=" + folder.resolve(run),
                                        "train.max_steps=" + steps,
                                        "train.per_device_train_batch_size=2",
                                        "train.gradient_accumulation_steps=1",
                                        "data.dataset=" + Records.NAME,
                                        "lora.r=4"),
                                Stream.of(words))
                        .toArray(String[]::new);
        return RunConfig.of(all);
    }

    private static TrainResult train(RunConfig config, Records records, boolean resume) {
        return new Trainer(config, records, resume, RunListener.NONE).run();
    }

    @Test
    void chatsInMemory_giveTheLossesOfTheirFile() throws IOException {
        Path file = folder.resolve("chats.jsonl");
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 6; i++) {
            lines.append(
                    "{\"messages\": [{\"role\": \"user\", \"content\": \"a%1$d\"}, {\"role\": \"assistant\", \"content\": \"b %1$d\"}]}\n"
                            .formatted(i));
        }
        Files.writeString(file, lines);
        TrainResult expected = new Trainer(config("file", 3, "data.dataset=" + file)).run();
        TrainResult list = train(config("list", 3), Records.ofChats(chats(6)), false);
        Stream<Chat> stream = chats(6).stream();
        TrainResult streamed = train(config("stream", 3), Records.ofChats(stream::iterator), false);
        assertThat(List.of(list.firstLoss(), list.lastLoss()))
                .isEqualTo(List.of(expected.firstLoss(), expected.lastLoss()))
                .isEqualTo(List.of(streamed.firstLoss(), streamed.lastLoss()));
    }

    @Test
    void run_resumesOnTheSameRecordsAlone() {
        train(config("run", 2), Records.ofChats(chats(6)), false);
        TrainResult more = train(config("run", 3), Records.ofChats(chats(6)), true);
        assertThat(more.steps()).isEqualTo(3);
        assertThatThrownBy(() -> train(config("run", 4), Records.ofChats(chats(5)), true))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("the data has changed since");
    }

    @Test
    void mistakes_areToldWithTheRecord() {
        RunConfig named = config("a", 1, "data.dataset=a/b");
        assertThatThrownBy(() -> train(named, Records.ofChats(chats(2)), false))
                .isInstanceOf(UserException.class)
                .hasMessage(
                        "data.dataset is a/b, but the program gives records; name Records.NAME there");
        assertThatThrownBy(() -> new Trainer(config("a", 1)).run())
                .isInstanceOf(UserException.class)
                .hasMessage(
                        "data.dataset is (memory): records that only the program which trained on them can give");
        Records dates =
                new Records(
                        List.of(
                                Map.of("prompt", "a", "completion", "b"),
                                Map.of("prompt", "a", "completion", LocalDate.of(2024, 2, 29))));
        assertThatThrownBy(() -> train(config("b", 1), dates, false))
                .isInstanceOf(UserException.class)
                .hasMessage(
                        "(memory):2: field completion holds a java.time.LocalDate; give text, numbers, lists and maps");
        assertThatThrownBy(() -> train(config("c", 1), new Records(List.of()), false))
                .isInstanceOf(UserException.class)
                .hasMessage("(memory) holds no records; it must have one at least");
    }
}

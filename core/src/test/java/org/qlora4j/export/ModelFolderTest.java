package org.qlora4j.export;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.family.Families;
import org.qlora4j.family.Models;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.Task;
import org.qlora4j.model.Weights;
import org.qlora4j.tensor.DType;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.TinyEncoders;
import tools.jackson.databind.JsonNode;

/** What {@code config.json} says of a model that was given classes. */
class ModelFolderTest {
    @TempDir Path folder;

    /** A classifier of a family that is not there. */
    private record Other(Architecture like) implements Architecture {
        @Override
        public ModelFacts facts() {
            return like.facts();
        }

        @Override
        public Task task() {
            return like.task();
        }

        @Override
        public String newHead() {
            return like.newHead();
        }

        @Override
        public String newHeadClass() {
            return "OtherForSequenceClassification";
        }

        @Override
        public Decoder build(Weights weights) {
            return like.build(weights);
        }
    }

    private String classWritten(Architecture architecture, Path source, String out)
            throws IOException {
        Path target = Files.createDirectory(folder.resolve(out));
        ModelShape shape = ModelShape.of(architecture);
        try (CausalModel model =
                Models.random(shape, TinyEncoders.unquantized(), DType.F32, false, 1)) {
            ModelFolder.write(model, source, target);
        }
        JsonNode config = Golden.json(target.resolve("config.json"));
        assertThat(config.path("id2label")).hasSize(3);
        return config.path("architectures").toString();
    }

    @Test
    void classifier_isOfTheClassThatItsFamilySays() throws IOException {
        Path source = TinyEncoders.roberta(folder);
        Path config = source.resolve("config.json");
        Files.writeString(
                config,
                Files.readString(config)
                        .replace("RobertaForSequenceClassification", "RobertaForMaskedLM"));
        Architecture roberta = Families.shape(source).architecture();
        assertThat(classWritten(roberta, source, "roberta"))
                .isEqualTo("[\"RobertaForSequenceClassification\"]");
        assertThat(classWritten(new Other(roberta), source, "other"))
                .isEqualTo("[\"OtherForSequenceClassification\"]");
    }
}

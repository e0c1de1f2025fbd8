package org.qlora4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.config.ReportKind;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.FormatException;
import org.qlora4j.run.RunInfo;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;
import org.w3c.dom.Document;

/** Reports of a run folder written by hand. */
class RunReportsTest {
    @TempDir Path run;

    @BeforeEach
    void layOut() throws Exception {
        Files.writeString(
                run.resolve("config.yaml"),
                """
                version: 1
                model: {model_name_or_path: org/model}
                data: {dataset: data.jsonl}
                train: {output_dir: %s, max_steps: 40, report_to: [html, tensorboard]}
                """
                        .formatted(run));
        StringBuilder metrics = new StringBuilder();
        for (int i = 1; i <= 40; i++) {
            metrics.append(
                    "{\"step\":%d,\"epoch\":0.1,\"loss\":%s,\"grad_norm\":0.3,\"learning_rate\":%s,\"tokens_per_second\":500.0}%n"
                            .formatted(i, 3.0 / i, 2e-4 / i));
            if (i % 20 == 0) {
                metrics.append(
                        "{\"step\":%d,\"epoch\":0.1,\"eval_loss\":%s,\"eval_perplexity\":2.5,\"eval_runtime\":1.0}%n"
                                .formatted(i, 1.0 + 1.0 / i));
            }
        }
        metrics.append("{\"step\":41,\"lo"); // a run that goes on while it is looked at
        Files.writeString(run.resolve("metrics.jsonl"), metrics);
        Files.writeString(
                run.resolve("samples.jsonl"),
                "{\"step\":40,\"prompt\":\"say <b>\",\"base\":\"&amp;\",\"answer\":\"<script>alert(1)</script>\"}\n");
        Files.writeString(
                run.resolve("predictions.jsonl"),
                """
                {"step":40,"prompt":"p<1>","expected":"e1","base":"b1","answer":"e1","base_exact_match":false,"exact_match":true}
                {"step":40,"prompt":"p2","expected":"e2","base":"b2","answer":"other","base_exact_match":false,"exact_match":false}
                """);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"step\":true,\"loss\":1} | step must be a whole number, got true",
                "{\"step\":1e30,\"loss\":1} | step must be a whole number, got 1.0E30",
                "{\"step\":42,\"loss\":\"x\"} | loss must be a number, got \"x\"",
                "{\"step\":42,\"loss\":1,\"epoch\":[1]} | epoch must be a number, got [1]",
            })
    void lineOfAnotherType_isNamed(String line, String message) throws Exception {
        Files.writeString(run.resolve("metrics.jsonl"), line + "\n");
        assertThatThrownBy(() -> RunReports.write(run, List.of(ReportKind.HTML), Map.of()))
                .isInstanceOf(FormatException.class)
                .hasMessage(run.resolve("metrics.jsonl") + ":1: " + message + "; remove the line");
    }

    @Test
    void valueThatOverflows_isLeftOutOfThePlot() throws Exception {
        Files.writeString(
                run.resolve("metrics.jsonl"),
                "{\"step\":1,\"loss\":1e308}\n{\"step\":2,\"loss\":\"NaN\",\"learning_rate\":-1e308}\n{\"step\":3,\"loss\":2}\n{\"step\":4,\"loss\":1}\n");
        RunReports.write(run, List.of(ReportKind.HTML, ReportKind.PNG), Map.of());
        assertThat(run.resolve("loss.png")).exists();
    }

    @Test
    void html_isWellFormedAndHoldsAllParts() throws Exception {
        RunReports.write(run, List.of(ReportKind.HTML), Map.of("GiB of tensors at most", "1.50"));
        String html = Files.readString(run.resolve("report.html"));
        // as XML it parses only if every tag is closed and every text escaped
        String xml = html.replace("<!doctype html>", "").replaceAll("<meta ([^>]*)>", "<meta $1/>");
        Document page =
                DocumentBuilderFactory.newInstance()
                        .newDocumentBuilder()
                        .parse(new ByteArrayInputStream(xml.getBytes(StandardCharsets.UTF_8)));
        assertThat(page.getElementsByTagName("svg").getLength())
                .as("charts; gradient norm and speed never change")
                .isEqualTo(2);
        assertThat(page.getElementsByTagName("script").getLength()).isZero();
        String text = page.getDocumentElement().getTextContent();
        assertThat(text)
                .contains("say <b>")
                .contains("<script>alert(1)</script>")
                .contains("GiB of tensors at most")
                .contains("1 of 2 are right to the letter, before the run 0", "p<1>", "other")
                .contains("1.0250") // the better of two evaluations
                .contains("train.report_to");
        assertThat(html).doesNotContain("http://").doesNotContain("src=");
    }

    @Test
    void png_showsCurves() throws Exception {
        RunReports.write(run, List.of(ReportKind.PNG), Map.of());
        for (String name : List.of("loss.png", "learning_rate.png")) {
            BufferedImage image = ImageIO.read(run.resolve(name).toFile());
            assertThat(image.getWidth()).isEqualTo(1000);
            long drawn = 0;
            for (int y = 0; y < image.getHeight(); y++) {
                for (int x = 0; x < image.getWidth(); x++) {
                    drawn += (image.getRGB(x, y) & 0xffffff) == 0x0b5fa5 ? 1 : 0;
                }
            }
            assertThat(drawn).as("pixels of the main line in %s", name).isGreaterThan(500);
        }
    }

    @Test
    void tensorboard_isWrittenAsTheRunGoesOn() throws Exception {
        RunConfig config = org.qlora4j.config.RunConfigReader.read(run.resolve("config.yaml"));
        Path events;
        try (RunReports reports = new RunReports(config, RunListener.NONE)) {
            reports.started(new RunInfo(0, 40, 8, 0, 1000, 500, 10, "reference", false, 1, 0));
            try (Stream<Path> files = Files.list(run.resolve("tensorboard"))) {
                events = Objects.requireNonNull(files.toList().getFirst());
            }
            long before = Files.size(events);
            reports.stepDone(new StepMetrics(2, 40, 0.1, 3, 1, 1e-4, 10, 5, 1, 1));
            assertThat(Files.size(events)).as("step 2 is not logged").isEqualTo(before);
            reports.stepDone(new StepMetrics(10, 40, 0.1, 3, 1, 1e-4, 10, 5, 1, 1));
            assertThat(Files.size(events)).isGreaterThan(before);
        }
        assertThat(Files.readString(events, StandardCharsets.ISO_8859_1))
                .contains("brain.Event:2", "train/loss", "train/learning_rate");
    }
}

package org.qlora4j.template;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.template.TemplateReferences.Rendering;
import org.qlora4j.template.TemplateReferences.Snippet;

/**
 * Python's Jinja2 3.1.6 on the same templates; {@code core/src/test/python/make_jinja_reference.py}
 * made the second file.
 */
class JinjaReferenceTest {
    private static final Map<String, Object> SMALL =
            TemplateReferences.json(TemplateReferences.resource("ref.json"));
    private static final Map<String, Object> LARGE =
            TemplateReferences.json(TemplateReferences.resource("jinja-reference.json.gz"));

    static List<Snippet> small() {
        return TemplateReferences.snippets(SMALL);
    }

    static List<Snippet> large() {
        return TemplateReferences.snippets(LARGE);
    }

    static Stream<Rendering> renderings() {
        return TemplateReferences.renderings(SMALL).stream();
    }

    @Test
    void references_areComplete() {
        assertThat(small()).hasSize(54);
        assertThat(large()).hasSizeGreaterThan(250);
        assertThat(renderings()).hasSize(9);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("small")
    void smallExpression_rendersAsJinja2(Snippet snippet) {
        TemplateReferences.check(snippet, SMALL);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("large")
    void everyConstruct_rendersAsJinja2(Snippet snippet) {
        TemplateReferences.check(snippet, LARGE);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("renderings")
    void wholeTemplate_rendersAsJinja2(Rendering rendering) {
        TemplateReferences.check(rendering, TemplateReferences::resource);
    }
}

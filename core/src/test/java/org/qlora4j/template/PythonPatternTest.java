package org.qlora4j.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.regex.PatternSyntaxException;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Expected values are those of Python 3.11's {@code re.fullmatch}. */
class PythonPatternTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '~',
            quoteCharacter = '`',
            value = {
                "(?P<n>ab)c(?P=n)~abcab~true",
                "(?P<n>ab)c(?P=n)~abcac~false",
                "(?P<first_part>a)(?P=first_part)~aa~true",
                "(a)?b(?(1)c|d)~abc~true",
                "(a)?b(?(1)c|d)~bd~true",
                "(a)?b(?(1)c|d)~bc~false",
                "(a)?b(?(1)c|d)~abd~false",
                "(a)?b(?(1)c)~b~true",
                "(a)?b(?(1)c)~bc~false",
                "(a)?b(?(1)c)~ab~false",
                "(?P<x>a)?b(?(x)(c|e)|d)f~abef~true",
                "(?P<x>a)?b(?(x)(c|e)|d)f~bdf~true",
                "(?P<x>a)?b(?(x)(c|e)|d)f~bef~false",
                "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\\10~abcdefghijj~true",
                "(a|b)\\1~bb~true",
                "(a|b)\\1~ab~false",
                "x{,2}~xx~true",
                "x{,2}~xxx~false",
                "x{a}~x{a}~true",
                "[[]~[~true",
                "[]a]~]~true",
                "[^]a]~b~true",
                "[a&&b]~&~true",
                "[a&&b]~a~true",
                "a(?#any)b~ab~true",
                "(?i)AB~ab~true",
                "(?i:A)B~ab~false",
                "(?a)\\w+~ab~true",
                "ab\\Z~ab~true",
                "(?:a|b)+?c~abc~true",
                "(?<!x)a~a~true",
                "(?=a)a~a~true"
            })
    void expression_matchesAsInPython(String regex, String text, boolean matches) {
        assertThat(PythonPattern.compile(regex, 0).java().matcher(text).matches())
                .isEqualTo(matches);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "(?P<n",
                "(?P=n)",
                "(?(1)a)",
                "(?(n)a)",
                "(a)?(?(1)b|c|d)",
                "\\2",
                "(",
                ")",
                "[a",
                "a\\",
                "(?P<n>a)(?P<n>b)",
                "(?<n>a)",
                "(?y)a"
            })
    void whatIsNone_isRefused(String regex) {
        assertThatThrownBy(() -> PythonPattern.compile(regex, 0))
                .isInstanceOf(PatternSyntaxException.class);
    }
}

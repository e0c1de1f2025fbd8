package org.qlora4j.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import javax.xml.stream.XMLStreamException;
import org.jspecify.annotations.Nullable;

/**
 * What all sheets of a spreadsheet share: their names, the texts of cells, number formats.
 * ECMA-376, part 1, section 18.
 *
 * @param sheets in the order of their tabs
 * @param texts shared strings, which cells name by place
 * @param formats the {@linkplain XlsxCell#places places} of the number format of each cell style
 * @param from1904 whether days are counted from 1904 and not from 1900
 */
record XlsxBook(List<Sheet> sheets, List<String> texts, List<String> formats, boolean from1904) {
    /** Far more than the 32,767 of Excel. */
    static final int LONGEST_TEXT = 1 << 20;

    /** Formats that are not written in the file; the others of it are plain numbers. */
    private static final Map<String, String> BUILT_IN =
            Map.of(
                    "9", "0%",
                    "10", "0.00%",
                    "18", "h:mm",
                    "19", "h:mm:ss",
                    "20", "h:mm",
                    "21", "h:mm:ss",
                    "22", "m/d/yy h:mm",
                    "45", "mm:ss",
                    "46", "[h]:mm:ss",
                    "47", "mmss.0");

    /** Dates, those of East Asian versions too. */
    private static final Pattern DATES = Pattern.compile("1[4-7]|2[7-9]|3[0-6]|5[0-8]");

    /** A character that XML cannot hold. */
    private static final Pattern ESCAPED = Pattern.compile("_x([0-9A-Fa-f]{4})_");

    /** A sheet and the file that it stands in. */
    record Sheet(String name, String path, boolean isHidden) {}

    /** Reads all but the sheets. */
    static XlsxBook read(XlsxArchive archive) throws IOException, XMLStreamException {
        Map<String, String> top = new HashMap<>();
        relations(archive, "", "", new HashMap<>(), top);
        String main = top.getOrDefault("officeDocument", "xl/workbook.xml");
        Map<String, String> byId = new HashMap<>();
        Map<String, String> byType = new HashMap<>();
        int slash = main.lastIndexOf('/') + 1;
        relations(archive, main.substring(0, slash), main.substring(slash), byId, byType);
        List<Sheet> sheets = new ArrayList<>();
        boolean from1904 = false;
        try (XlsxArchive.Xml xml = archive.open(main)) {
            while (xml.next()) {
                if (xml.begins("workbookPr")) {
                    from1904 = isTrue(xml.attribute("date1904"));
                } else if (xml.begins("sheet")) {
                    String path = byId.get(String.valueOf(xml.attribute("id")));
                    String state = xml.attribute("state");
                    if (path != null) {
                        sheets.add(
                                new Sheet(
                                        String.valueOf(xml.attribute("name")),
                                        path,
                                        state != null && !state.equals("visible")));
                    }
                }
            }
        }
        return new XlsxBook(
                List.copyOf(sheets),
                texts(archive, byType.get("sharedStrings")),
                formats(archive, byType.get("styles")),
                from1904);
    }

    static boolean isTrue(@Nullable String value) {
        return "1".equals(value) || "true".equals(value);
    }

    /**
     * The files that a file refers to.
     *
     * @param byId takes them by the id they are referred to with
     * @param byType takes them by the last word of their type
     */
    private static void relations(
            XlsxArchive archive,
            String folder,
            String name,
            Map<String, String> byId,
            Map<String, String> byType)
            throws IOException, XMLStreamException {
        String file = folder + "_rels/" + name + ".rels";
        if (!archive.has(file)) {
            return;
        }
        try (XlsxArchive.Xml xml = archive.open(file)) {
            while (xml.next()) {
                String target = xml.begins("Relationship") ? xml.attribute("Target") : null;
                if (target == null || "External".equals(xml.attribute("TargetMode"))) {
                    continue;
                }
                String path =
                        target.startsWith("/")
                                ? target.substring(1)
                                : Path.of(folder + target)
                                        .normalize()
                                        .toString()
                                        .replace('\\', '/');
                String type = String.valueOf(xml.attribute("Type"));
                byId.put(String.valueOf(xml.attribute("Id")), path);
                byType.put(type.substring(type.lastIndexOf('/') + 1), path);
            }
        }
    }

    private static List<String> texts(XlsxArchive archive, @Nullable String path)
            throws IOException, XMLStreamException {
        List<String> texts = new ArrayList<>();
        if (path == null) {
            return texts;
        }
        try (XlsxArchive.Xml xml = archive.open(path)) {
            while (xml.next()) {
                if (xml.begins("si")) {
                    texts.add(text(xml, "si"));
                }
            }
        }
        return texts;
    }

    /** A text of several runs, up to the end of the element; how it is spoken is no part of it. */
    static String text(XlsxArchive.Xml xml, String element) throws XMLStreamException {
        StringBuilder text = new StringBuilder();
        boolean isSpoken = false;
        while (!xml.ends(element) && xml.next()) {
            isSpoken = xml.begins("rPh") || (isSpoken && !xml.ends("rPh"));
            if (xml.begins("t") && !isSpoken) {
                xml.addText(text, LONGEST_TEXT);
            }
        }
        return plain(text.toString());
    }

    /** A text without escapes, its lines parted by line feeds. */
    static String plain(String text) {
        String whole =
                text.contains("_x")
                        ? ESCAPED.matcher(text)
                                .replaceAll(found ->
                                        java.util.regex.Matcher.quoteReplacement(
                                                String.valueOf(
                                                        (char)
                                                                Integer.parseInt(
                                                                        found.group(1), 16))))
                        : text;
        return whole.replace("\r\n", "\n");
    }

    private static List<String> formats(XlsxArchive archive, @Nullable String path)
            throws IOException, XMLStreamException {
        Map<String, String> codes = new HashMap<>(BUILT_IN);
        List<String> formats = new ArrayList<>();
        if (path == null) {
            return formats;
        }
        try (XlsxArchive.Xml xml = archive.open(path)) {
            boolean isOfCells = false;
            while (xml.next()) {
                isOfCells = xml.begins("cellXfs") || (isOfCells && !xml.ends("cellXfs"));
                String id = String.valueOf(xml.attribute("numFmtId"));
                if (xml.begins("numFmt")) {
                    codes.put(id, String.valueOf(xml.attribute("formatCode")));
                } else if (isOfCells && xml.begins("xf")) {
                    String plain = DATES.matcher(id).matches() ? "yyyy-mm-dd" : "";
                    formats.add(XlsxCell.places(codes.getOrDefault(id, plain)));
                }
            }
        }
        return formats;
    }
}

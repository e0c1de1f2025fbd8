package org.qlora4j.data;

import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * The files in a spreadsheet (.xlsx): a zip archive of XML. None of them may unpack to far more
 * than the archive is; a hundred times is where Apache POI draws the line too. Checksums are
 * compared, DTDs and what they name are not read.
 */
final class XlsxArchive implements AutoCloseable {
    private static final long HARMLESS_BYTES = 256L << 20;
    private static final int MOST_TIMES = 100;

    /** Begins a file of Excel before 2007, and a newer one with a password. */
    private static final String OLE = "d0cf11e0";

    private static final XMLInputFactory XML = XMLInputFactory.newDefaultFactory();

    static {
        XML.setProperty(XMLInputFactory.SUPPORT_DTD, false);
        XML.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
    }

    private final Path file;
    private final ZipFile zip;
    private final long most;

    /**
     * Opens the archive.
     *
     * @throws IOException if it is damaged
     * @throws FormatException if it is no such archive, but a file that is often taken for one
     */
    XlsxArchive(Path file) throws IOException {
        this.file = file;
        try (InputStream in = Files.newInputStream(file)) {
            if (HexFormat.of().formatHex(in.readNBytes(4)).equals(OLE)) {
                throw FormatException.of(
                        "%s is of Excel before 2007 or has a password; save it as .xlsx without one, or as CSV UTF-8",
                        file);
            }
        }
        this.most = Math.max(HARMLESS_BYTES, MOST_TIMES * Files.size(file));
        this.zip = new ZipFile(file.toFile());
    }

    /** Whether there is a file of that name. */
    boolean has(String name) {
        return entry(name) != null;
    }

    /** Names differ in capitals between programs. */
    private @Nullable ZipEntry entry(String name) {
        ZipEntry entry = zip.getEntry(name);
        return entry != null
                ? entry
                : zip.stream()
                        .filter(one -> one.getName().equalsIgnoreCase(name))
                        .findFirst()
                        .orElse(null);
    }

    /** An XML file from its beginning; the caller closes. */
    Xml open(String name) throws IOException, XMLStreamException {
        ZipEntry entry = entry(name);
        if (entry == null) {
            throw new ZipException("it holds no " + name);
        }
        return new Xml(new Bounded(zip.getInputStream(entry), entry));
    }

    @Override
    public void close() throws IOException {
        zip.close();
    }

    /** Bytes of a file, counted, and at their end compared with their checksum. */
    private final class Bounded extends FilterInputStream {
        private final ZipEntry entry;
        private final CRC32 sum;
        private long size;

        Bounded(InputStream in, ZipEntry entry) {
            CRC32 sum = new CRC32();
            super(new CheckedInputStream(in, sum));
            this.sum = sum;
            this.entry = entry;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] bytes, int from, int length) throws IOException {
            int count = super.read(bytes, from, length);
            size += Math.max(0, count);
            if (size > most) {
                throw FormatException.of(
                        "%s unpacks to more than %d times its size, as no table does; save it as CSV UTF-8",
                        file, MOST_TIMES);
            }
            if (count < 0 && sum.getValue() != entry.getCrc()) {
                throw new ZipException("the checksum of " + entry.getName() + " is wrong");
            }
            return count;
        }
    }

    /** The elements of an XML file, by their names without namespace. */
    static final class Xml implements AutoCloseable {
        private final InputStream in;
        private final XMLStreamReader reader;

        /** The bytes are decoded here, since the parser prints what it cannot decode. */
        Xml(InputStream in) throws IOException, XMLStreamException {
            BufferedInputStream bytes = new BufferedInputStream(in);
            this.in = bytes;
            Charset charset = TextEncoding.FOUND.find(bytes);
            this.reader =
                    XML.createXMLStreamReader(new InputStreamReader(bytes, charset.newDecoder()));
        }

        /** Goes to the next beginning or end of an element; false at the end of the file. */
        boolean next() throws XMLStreamException {
            while (reader.hasNext()) {
                reader.next();
                if (reader.isStartElement() || reader.isEndElement()) {
                    return true;
                }
            }
            return false;
        }

        /** Whether an element of that name begins here. */
        boolean begins(String name) {
            return reader.isStartElement() && reader.getLocalName().equals(name);
        }

        /** Whether an element of that name ends here. */
        boolean ends(String name) {
            return reader.isEndElement() && reader.getLocalName().equals(name);
        }

        /** An attribute of the element that begins here, of any namespace; null if it has none. */
        @Nullable String attribute(String name) {
            if (!reader.isStartElement()) {
                return null;
            }
            for (int i = 0; i < reader.getAttributeCount(); i++) {
                if (reader.getAttributeLocalName(i).equals(name)) {
                    return reader.getAttributeValue(i);
                }
            }
            return null;
        }

        /**
         * Adds the text of the element that begins here, and goes to its end.
         *
         * @throws XMLStreamException if the text becomes longer than any cell's
         */
        void addText(StringBuilder text, int longest) throws XMLStreamException {
            for (int depth = 1; depth > 0; ) {
                switch (reader.next()) {
                    case XMLStreamReader.START_ELEMENT -> depth++;
                    case XMLStreamReader.END_ELEMENT -> depth--;
                    case XMLStreamReader.CHARACTERS, XMLStreamReader.CDATA, XMLStreamReader.SPACE ->
                            text.append(
                                    reader.getTextCharacters(),
                                    reader.getTextStart(),
                                    reader.getTextLength());
                    default -> {}
                }
                if (text.length() > longest) {
                    throw new XMLStreamException("a text has more than " + longest + " letters");
                }
            }
        }

        @Override
        public void close() throws IOException {
            in.close();
        }
    }
}

package org.qlora4j.report;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.DeviceException;

/** A chart as a PNG file, drawn by XChart; needs no display, but a font on the machine. */
final class PngChart {
    private static final Color BLUE = new Color(0x0b, 0x5f, 0xa5);
    private static final Color PALE = new Color(0xa9, 0xcb, 0xe8);
    private static final Color ORANGE = new Color(0xc8, 0x55, 0x0a);
    private static final Color GRID = new Color(0xe3, 0xe3, 0xe3);

    private PngChart() {}

    /** Writes the file, whole or not at all. */
    static void write(Chart chart, Path file) {
        System.setProperty("java.awt.headless", "true"); // before AWT starts
        try {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            BitmapEncoder.saveBitmap(of(chart), bytes, BitmapEncoder.BitmapFormat.PNG);
            AtomicFiles.write(file, bytes.toByteArray());
        } catch (IOException e) {
            throw new DeviceException(file + " cannot be written: " + e.getMessage(), e);
        } catch (InternalError | NoClassDefFoundError e) {
            // How AWT says that fontconfig or a library of it is missing.
            throw new DeviceException(
                    file
                            + " cannot be drawn: this machine has no fonts for Java; install fontconfig and a font, or leave png"
                            + " out of train.report_to",
                    e);
        }
    }

    private static XYChart of(Chart chart) {
        XYChart out = new XYChartBuilder().width(1000).height(520).build();
        String unit = chart.unit().isEmpty() ? "" : " (" + chart.unit() + ")";
        out.setTitle(chart.title() + unit);
        out.setXAxisTitle("step");
        style(out, chart);
        for (Chart.Series series : chart.series()) {
            double[] steps = series.points().stream().mapToDouble(Chart.Point::step).toArray();
            double[] values = series.points().stream().mapToDouble(Chart.Point::value).toArray();
            // XChart breaks a line at NaN; an infinite value it cannot place
            Arrays.setAll(values, i -> Double.isFinite(values[i]) ? values[i] : Double.NaN);
            String name = series.name().isEmpty() ? chart.title() : series.name();
            XYSeries line = out.addSeries(name, steps, values);
            boolean marked = series.style() == Chart.Style.MARKED || steps.length == 1;
            line.setMarker(marked ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE);
            line.setSmooth(false);
            Color colour =
                    switch (series.style()) {
                        case LINE -> BLUE;
                        case FAINT -> PALE;
                        case MARKED -> ORANGE;
                    };
            line.setLineColor(colour);
            line.setMarkerColor(colour);
            line.setLineStyle(new BasicStroke(series.style() == Chart.Style.FAINT ? 1 : 2.2f));
        }
        return out;
    }

    private static void style(XYChart chart, Chart content) {
        var styler = chart.getStyler();
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setPlotBorderVisible(false);
        styler.setPlotGridLinesColor(GRID);
        styler.setPlotGridVerticalLinesVisible(false);
        styler.setChartTitleBoxVisible(false);
        styler.setLegendPosition(LegendPosition.InsideNE);
        styler.setLegendBorderColor(Color.WHITE);
        styler.setLegendVisible(content.series().size() > 1);
        styler.setMarkerSize(7);
        styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 18));
        styler.setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14));
        styler.setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
        styler.setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14));
        styler.setChartPadding(16);
        Axis y = Axis.around(content.min(), content.max(), 6);
        styler.setYAxisMin(y.from());
        styler.setYAxisMax(y.to());
        styler.setyAxisTickLabelsFormattingFunction(Axis::label);
        styler.setxAxisTickLabelsFormattingFunction(Axis::label);
    }
}

// From values to pixels and axis labels, without a window.
#include <QTest>

#include "console/charts/downsample.hpp"
#include "console/charts/nice_scale.hpp"

using namespace signalbox::console;
using namespace std::chrono_literals;

namespace {

const WallTime kStart{std::chrono::seconds(1'700'000'000)};

TimeSeries everySecond(const std::vector<std::optional<double>>& values) {
    TimeSeries series;
    for (std::size_t i = 0; i < values.size(); ++i)
        series.push_back({kStart + std::chrono::seconds(i + 1), values[i]});
    return series;
}

double asItIs(double value) {
    return value;
}

QStringList labels(const AxisScale& scale) {
    QStringList found;
    for (const auto& tick : scale.ticks)
        found << QString(tick.label).replace(QChar(0x00A0), u' ');
    return found;
}

}  // namespace

class TestCharts : public QObject {
    Q_OBJECT
private Q_SLOTS:
    void time_is_mapped_onto_pixels() {
        const auto stretches = downsample(everySecond({1, 2, 3, 4}), {kStart, kStart + 4s}, 400, asItIs);
        QCOMPARE(stretches.size(), 1u);
        QCOMPARE(stretches.front(), (QList<QPointF>{{100, 1}, {200, 2}, {300, 3}, {400, 4}}));
    }

    void a_gap_parts_the_line() {
        const auto stretches =
            downsample(everySecond({1, 2, std::nullopt, 4, 5}), {kStart, kStart + 5s}, 500, asItIs);
        QCOMPARE(stretches.size(), 2u);
        QCOMPARE(stretches[0].size(), 2);
        QCOMPARE(stretches[1].front(), QPointF(400, 4));
    }

    void a_lone_value_is_still_visible() {
        const auto stretches =
            downsample(everySecond({std::nullopt, 7, std::nullopt}), {kStart, kStart + 3s}, 300, asItIs);
        QCOMPARE(stretches.size(), 1u);
        QCOMPARE(stretches[0].size(), 2);
        QVERIFY(stretches[0][0].x() < stretches[0][1].x());
    }

    void more_values_than_pixels_keep_every_peak() {
        std::vector<std::optional<double>> values(10'000, 1.0);
        values[4321] = 99;
        values[7654] = -5;
        const auto stretches = downsample(everySecond(values), {kStart, kStart + 10'000s}, 100, asItIs);
        QCOMPARE(stretches.size(), 1u);
        QVERIFY(stretches[0].size() <= 4 * 101);
        const auto heights = [&](double y) {
            return std::any_of(stretches[0].begin(), stretches[0].end(),
                               [y](const QPointF& p) { return p.y() == y; });
        };
        QVERIFY(heights(99));
        QVERIFY(heights(-5));
    }

    void nothing_is_drawn_of_nothing() {
        QVERIFY(downsample({}, {kStart, kStart + 1s}, 100, asItIs).empty());
        QVERIFY(downsample(everySecond({1}), {kStart, kStart}, 100, asItIs).empty());
        QVERIFY(downsample(everySecond({1}), {kStart, kStart + 1s}, 0, asItIs).empty());
    }

    void the_value_at_an_instant_is_the_nearest_but_not_across_a_gap() {
        const auto series = everySecond({1, 2, std::nullopt, 4});
        QCOMPARE(valueAt(series, kStart + 1100ms), std::optional(1.0));
        QCOMPARE(valueAt(series, kStart + 1900ms), std::optional(2.0));
        QCOMPARE(valueAt(series, kStart + 3s), std::nullopt);
        QCOMPARE(valueAt(series, kStart + 4500ms), std::optional(4.0));
        QCOMPARE(valueAt(series, kStart + 60s), std::nullopt);
        QCOMPARE(valueAt({}, kStart), std::nullopt);
    }

    void axes_have_round_labels_in_readable_units() {
        QCOMPARE(labels(linearScale(0.0043, Measure::seconds, 5)),
                 (QStringList{"0", "1 ms", "2 ms", "3 ms", "4 ms", "5 ms"}));
        QCOMPARE(labels(linearScale(90.0 * 1024 * 1024, Measure::bytes, 3)),
                 (QStringList{"0", "32 MiB", "64 MiB", "96 MiB"}));
        QCOMPARE(labels(linearScale(1200, Measure::rate, 3)), (QStringList{"0", "500", "1,000", "1,500"}));
        QCOMPARE(labels(linearScale(0, Measure::count, 4)), (QStringList{"0", "1"}));
    }

    void a_logarithmic_axis_spans_the_values() {
        const auto scale = logarithmicScale(0.0005, 0.8, Measure::seconds, 5);
        QVERIFY(scale.low <= 0.0005 && scale.high >= 0.8);
        QCOMPARE(labels(scale), (QStringList{"1 ms", "10 ms", "100 ms", "1 s"}));
        QCOMPARE(scale.position(0), 0.0);
        QVERIFY(scale.position(0.001) < scale.position(0.01));
        QVERIFY(std::abs((scale.position(0.01) - scale.position(0.001)) -
                         (scale.position(0.1) - scale.position(0.01))) < 1e-9);
    }

    void values_stay_inside_the_axis_data() {
        QTest::addColumn<double>("highest");
        for (const double highest : {0.0, 1e-9, 0.001, 0.97, 1.0, 7.3, 99.0, 1e6, 1e12})
            QTest::addRow("%g", highest) << highest;
    }
    void values_stay_inside_the_axis() {
        QFETCH(double, highest);
        for (const auto measure : {Measure::count, Measure::rate, Measure::seconds, Measure::bytes}) {
            const auto scale = linearScale(highest, measure, 4);
            QVERIFY(scale.high >= highest);
            QVERIFY(scale.ticks.size() >= 2 && scale.ticks.size() <= 7);
            QVERIFY(scale.position(highest) <= 1);
        }
    }

    void time_labels_lie_on_round_clock_times() {
        const auto ticks = timeTicks({kStart, kStart + 5min}, 6);
        QVERIFY(!ticks.empty() && ticks.size() <= 6);
        for (const auto& tick : ticks) {
            QVERIFY(tick.position > 0 && tick.position <= 1);
            QCOMPARE(tick.label.size(), 5);
        }
        QVERIFY(timeTicks({kStart, kStart}, 6).empty());
    }
};

QTEST_GUILESS_MAIN(TestCharts)
#include "test_charts.moc"

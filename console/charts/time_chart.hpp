// What the views know of charts: lines over time, in readable units, with gaps where data are missing.
//
//     TimeChart* chart = TimeChart::create(tr("Latency"), Measure::seconds, parent);
//     chart->setLogarithmic(true);
//     chart->setData(history.last(5min), {{.name = "p99", .color = red, .points = p99}});
//
// Who draws is an implementation's secret, so that it can be exchanged. Hidden charts do not draw; setData()
// is meant to be called at most a few times a second.
#pragma once

#include <QColor>
#include <QWidget>
#include <optional>
#include <vector>

#include "console/charts/measure.hpp"
#include "console/store/tick_history.hpp"

namespace signalbox::console {

struct ChartLine {
    QString name;
    QColor color;
    TimeSeries points;
    bool rightAxis = false;  ///< measured on the right, if the chart has such an axis
};

struct ChartColors {
    QColor text;
    QColor faintText;
    QColor grid;
    QColor crosshair;
    QColor tipBackground;
    QColor tipBorder;
};

class TimeChart : public QWidget {
    Q_OBJECT
public:
    /// `title` is shown above the chart, beside the legend.
    static TimeChart* create(const QString& title, Measure measure, QWidget* parent = nullptr);

    virtual void setRightAxis(Measure measure) = 0;
    virtual void setLogarithmic(bool on) = 0;
    virtual void setColors(const ChartColors& colors) = 0;
    /// Later lines are drawn over earlier ones.
    virtual void setData(TimeRange range, std::vector<ChartLine> lines) = 0;
    /// Shown in place of lines when there are none: why, in a few words.
    virtual void setEmptyText(const QString& text) = 0;
    /// A vertical line at that instant, with the values there if the pointer is over this very chart.
    virtual void setCrosshair(std::optional<WallTime> time) = 0;

Q_SIGNALS:
    /// The instant under the pointer; none when it leaves.
    void hovered(std::optional<signalbox::console::WallTime> time);

protected:
    using QWidget::QWidget;
};

}  // namespace signalbox::console

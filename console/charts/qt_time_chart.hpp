// TimeChart drawn with Qt Charts. Only time_chart.hpp's create() and tests need to know it.
#pragma once

#include <QPointF>

#include "console/charts/nice_scale.hpp"
#include "console/charts/time_chart.hpp"

class QLabel;

namespace signalbox::console {

class ChartLegend;

class QtTimeChart : public TimeChart {
    Q_OBJECT
public:
    QtTimeChart(const QString& title, Measure measure, QWidget* parent = nullptr);
    ~QtTimeChart() override;

    void setRightAxis(Measure measure) override;
    void setLogarithmic(bool on) override;
    void setColors(const ChartColors& colors) override;
    void setData(TimeRange range, std::vector<ChartLine> lines) override;
    void setEmptyText(const QString& text) override;
    void setCrosshair(std::optional<WallTime> time) override;

protected:
    void showEvent(QShowEvent* event) override;

private:
    class View;
    void draw();
    void scaleAxes();
    void hover(std::optional<QPointF> position);
    void paintAxes(QPainter& painter) const;
    void paintCrosshair(QPainter& painter) const;
    void paintTip(QPainter& painter, double x) const;

    Measure left_;
    std::optional<Measure> right_;
    bool logarithmic_ = false;
    ChartColors colors_;
    TimeRange range_{};
    std::vector<ChartLine> lines_;
    QString emptyText_;
    AxisScale leftScale_;
    AxisScale rightScale_;
    std::vector<AxisTick> timeTicks_;
    std::optional<WallTime> crosshair_;
    std::optional<QPointF> pointer_;  ///< where the mouse is, if over this chart's plot
    QLabel* title_;
    ChartLegend* legend_;
    View* view_;
};

}  // namespace signalbox::console

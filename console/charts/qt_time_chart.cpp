#include "console/charts/qt_time_chart.hpp"

#include <QChart>
#include <QChartView>
#include <QGraphicsLayout>
#include <QLabel>
#include <QLineSeries>
#include <QMouseEvent>
#include <QPainter>
#include <QVBoxLayout>
#include <QValueAxis>

#include "console/charts/chart_legend.hpp"
#include "console/charts/downsample.hpp"
#include "console/models/units.hpp"

namespace signalbox::console {
namespace {

constexpr int kLabelGap = 6;

}  // namespace

/// Qt Charts draws the lines; grid, labels and crosshair are ours, since its axes know neither readable units
/// nor how to keep still while the range slides.
class QtTimeChart::View : public QChartView {
public:
    explicit View(QtTimeChart& owner) : owner_(owner) {
        auto* chart = new QChart;
        chart->legend()->hide();
        chart->setBackgroundVisible(false);
        chart->setMargins({});
        chart->layout()->setContentsMargins(0, 0, 0, 0);
        chart->setAnimationOptions(QChart::NoAnimation);
        for (auto* axis : {&x_, &y_}) {
            axis->setVisible(false);
            axis->setRange(0, 1);
        }
        chart->addAxis(&x_, Qt::AlignBottom);
        chart->addAxis(&y_, Qt::AlignLeft);
        setChart(chart);
        setFrameShape(QFrame::NoFrame);
        setRenderHint(QPainter::Antialiasing);
        setViewportUpdateMode(QGraphicsView::FullViewportUpdate);
        setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
        setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
        viewport()->setMouseTracking(true);
        setFocusPolicy(Qt::NoFocus);
        setBackgroundBrush(Qt::NoBrush);
        viewport()->setAutoFillBackground(false);
        setMinimumHeight(60);
    }
    ~View() override {
        // The axes are members: the chart must not delete them too.
        chart()->removeAllSeries();
        chart()->removeAxis(&x_);
        chart()->removeAxis(&y_);
    }

    QRectF plot() const { return plot_; }

    void layOut(int leftWidth, int rightWidth) {
        const int bottom = QFontMetrics(font()).height() + 4;
        const int top = QFontMetrics(font()).height() / 2 + 1;
        plot_ = QRectF(leftWidth, top, std::max(10, width() - leftWidth - rightWidth),
                       std::max(10, height() - top - bottom));
        chart()->setPlotArea(plot_);
        x_.setRange(0, plot_.width());
    }

    /// The lines, from 0 to plot().width() and from 0 to 1. Series objects are kept and reused.
    void draw(const std::vector<std::pair<QColor, QList<QPointF>>>& segments) {
        while (series_.size() < segments.size()) {
            auto* series = new QLineSeries;
            chart()->addSeries(series);
            series->attachAxis(&x_);
            series->attachAxis(&y_);
            series_.push_back(series);
        }
        for (std::size_t i = 0; i < series_.size(); ++i) {
            if (i >= segments.size()) {
                if (series_[i]->count() > 0) series_[i]->clear();
                continue;
            }
            QPen pen(segments[i].first, 1.6);
            pen.setJoinStyle(Qt::RoundJoin);
            pen.setCapStyle(Qt::RoundCap);
            if (series_[i]->pen() != pen) series_[i]->setPen(pen);
            series_[i]->replace(segments[i].second);
        }
        viewport()->update();
    }

protected:
    void drawBackground(QPainter* painter, const QRectF&) override { owner_.paintAxes(*painter); }
    void drawForeground(QPainter* painter, const QRectF&) override { owner_.paintCrosshair(*painter); }
    void resizeEvent(QResizeEvent* event) override {
        QChartView::resizeEvent(event);
        owner_.draw();
    }
    void mouseMoveEvent(QMouseEvent* event) override {
        owner_.hover(event->position());
        QChartView::mouseMoveEvent(event);
    }
    void leaveEvent(QEvent* event) override {
        owner_.hover(std::nullopt);
        QChartView::leaveEvent(event);
    }

private:
    QtTimeChart& owner_;
    QValueAxis x_;
    QValueAxis y_;
    QRectF plot_;
    std::vector<QLineSeries*> series_;
};

TimeChart* TimeChart::create(const QString& title, Measure measure, QWidget* parent) {
    return new QtTimeChart(title, measure, parent);
}

QtTimeChart::QtTimeChart(const QString& title, Measure measure, QWidget* parent)
    : TimeChart(parent),
      left_(measure),
      title_(new QLabel(title)),
      legend_(new ChartLegend),
      view_(new View(*this)) {
    title_->setTextFormat(Qt::PlainText);
    title_->setProperty("role", "chartTitle");
    auto* head = new QHBoxLayout;
    head->setContentsMargins(0, 0, 0, 0);
    head->setSpacing(12);
    head->addWidget(title_);
    head->addWidget(legend_, 1);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(10, 6, 10, 4);
    layout->setSpacing(2);
    layout->addLayout(head);
    layout->addWidget(view_, 1);
    setAccessibleName(title);
}

QtTimeChart::~QtTimeChart() {
    delete view_;
}

void QtTimeChart::setRightAxis(Measure measure) {
    right_ = measure;
}
void QtTimeChart::setLogarithmic(bool on) {
    logarithmic_ = on;
}

void QtTimeChart::setColors(const ChartColors& colors) {
    colors_ = colors;
    legend_->setColors(colors.faintText, colors.text);
    draw();
}

void QtTimeChart::setEmptyText(const QString& text) {
    if (emptyText_ == text) return;
    emptyText_ = text;
    view_->viewport()->update();
}

void QtTimeChart::setData(TimeRange range, std::vector<ChartLine> lines) {
    range_ = range;
    lines_ = std::move(lines);
    if (isVisible()) draw();
}

void QtTimeChart::showEvent(QShowEvent* event) {
    TimeChart::showEvent(event);
    draw();
}

void QtTimeChart::scaleAxes() {
    double highest[2] = {0, 0};
    double lowest = std::numeric_limits<double>::infinity();
    for (const auto& line : lines_)
        for (const auto& point : line.points) {
            if (!point.value) continue;
            auto& high = highest[line.rightAxis ? 1 : 0];
            high = std::max(high, *point.value);
            if (*point.value > 0) lowest = std::min(lowest, *point.value);
        }
    const int rows = std::max(2, view_->height() / (2 * QFontMetrics(view_->font()).height()));
    const int labels = std::min(rows, 5);
    leftScale_ = logarithmic_ && std::isfinite(lowest) ? logarithmicScale(lowest, highest[0], left_, labels)
                                                       : linearScale(highest[0], left_, labels);
    rightScale_ = right_ ? linearScale(highest[1], *right_, labels) : AxisScale{};
}

void QtTimeChart::draw() {
    if (!isVisible()) return;
    scaleAxes();
    const QFontMetrics metrics(view_->font());
    // Both sides of the overview's charts line up when the labels' widths change in steps.
    const auto widest = [&](const AxisScale& scale) {
        int width = metrics.horizontalAdvance(QStringLiteral("000 MiB"));
        for (const auto& tick : scale.ticks)
            width = std::max(width, metrics.horizontalAdvance(tick.label));
        return width + kLabelGap;
    };
    view_->layOut(widest(leftScale_), right_ ? widest(rightScale_) : kLabelGap);
    const double columns = view_->plot().width();
    timeTicks_ = timeTicks(
        range_, static_cast<int>(columns / (metrics.horizontalAdvance(QStringLiteral("00:00:00")) * 1.6)));

    std::vector<std::pair<QColor, QList<QPointF>>> segments;
    for (const auto& line : lines_) {
        const auto& scale = line.rightAxis ? rightScale_ : leftScale_;
        for (auto& stretch : downsample(line.points, range_, static_cast<int>(columns),
                                        [&](double value) { return scale.position(value); }))
            segments.emplace_back(line.color, std::move(stretch));
    }
    view_->draw(segments);

    std::vector<ChartLegend::Item> items;
    for (const auto& line : lines_) {
        const auto measure = line.rightAxis ? right_.value_or(left_) : left_;
        const auto current = line.points.empty() ? std::nullopt : line.points.back().value;
        items.push_back({line.color, line.name, orMissing(current, [&](double v) {
                             // The title says that it is per second; room for values is scarce.
                             return written(v, measure).remove(QStringLiteral("\u00a0/s"));
                         })});
    }
    legend_->setItems(std::move(items));
}

void QtTimeChart::paintAxes(QPainter& painter) const {
    const QRectF plot = view_->plot();
    const QFontMetrics metrics(view_->font());
    painter.setFont(view_->font());
    const double half = metrics.height() / 2.0;
    painter.setRenderHint(QPainter::Antialiasing, false);
    for (const auto& tick : leftScale_.ticks) {
        const double y = plot.bottom() - tick.position * plot.height();
        painter.setPen(QPen(colors_.grid, 1));
        painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y));
        painter.setPen(colors_.faintText);
        painter.drawText(QRectF(0, y - half, plot.left() - kLabelGap, 2 * half),
                         Qt::AlignRight | Qt::AlignVCenter, tick.label);
    }
    for (const auto& tick : rightScale_.ticks) {
        const double y = plot.bottom() - tick.position * plot.height();
        painter.setPen(colors_.faintText);
        painter.drawText(QRectF(plot.right() + kLabelGap, y - half, view_->width(), 2 * half),
                         Qt::AlignLeft | Qt::AlignVCenter, tick.label);
    }
    for (const auto& tick : timeTicks_) {
        const double x = plot.left() + tick.position * plot.width();
        painter.setPen(QPen(colors_.grid, 1));
        painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()));
        const double width = metrics.horizontalAdvance(tick.label);
        // Labels stay inside, whole.
        const double at = std::min(std::max(x - width / 2, 0.0), view_->width() - width);
        painter.setPen(colors_.faintText);
        painter.drawText(QRectF(at, plot.bottom() + 3, width + 2, 2 * half), Qt::AlignLeft | Qt::AlignVCenter,
                         tick.label);
    }
    const bool empty = std::none_of(lines_.begin(), lines_.end(), [](const auto& line) {
        return std::any_of(line.points.begin(), line.points.end(),
                           [](const auto& p) { return p.value.has_value(); });
    });
    if (empty && !emptyText_.isEmpty()) {
        painter.setPen(colors_.faintText);
        painter.drawText(plot, Qt::AlignCenter | Qt::TextWordWrap, emptyText_);
    }
}

void QtTimeChart::hover(std::optional<QPointF> position) {
    pointer_ = position;
    const QRectF plot = view_->plot();
    std::optional<WallTime> time;
    if (position && plot.contains(*position) && range_.to > range_.from) {
        const double part = (position->x() - plot.left()) / plot.width();
        time = range_.from + std::chrono::nanoseconds(static_cast<std::int64_t>(
                                 part * static_cast<double>((range_.to - range_.from).count())));
    } else {
        pointer_.reset();
    }
    Q_EMIT hovered(time);
}

void QtTimeChart::setCrosshair(std::optional<WallTime> time) {
    if (crosshair_ == time) return;
    crosshair_ = time;
    view_->viewport()->update();
}

void QtTimeChart::paintCrosshair(QPainter& painter) const {
    const auto length = static_cast<double>((range_.to - range_.from).count());
    if (!crosshair_ || length <= 0) return;
    const QRectF plot = view_->plot();
    const double x =
        plot.left() + static_cast<double>((*crosshair_ - range_.from).count()) / length * plot.width();
    if (x < plot.left() || x > plot.right()) return;
    painter.setPen(QPen(colors_.crosshair, 1));
    painter.drawLine(QPointF(x, plot.top()), QPointF(x, plot.bottom()));
    if (pointer_) paintTip(painter, x);
}

void QtTimeChart::paintTip(QPainter& painter, double x) const {
    constexpr int kPadding = 8;
    const QFontMetrics metrics(view_->font());
    const int lineHeight = metrics.height() + 2;
    const std::size_t most =
        std::max<std::size_t>(1, static_cast<std::size_t>(view_->height() / lineHeight) - 1);
    struct TipLine {
        QColor color;
        QString name;
        QString value;
    };
    std::vector<TipLine> tip;
    for (const auto& line : lines_) {
        if (tip.size() == most) break;
        const auto measure = line.rightAxis ? right_.value_or(left_) : left_;
        tip.push_back({line.color, line.name, orMissing(valueAt(line.points, *crosshair_), [&](double v) {
                           return written(v, measure);
                       })});
    }
    const QString time = clock(*crosshair_);
    int names = 0;
    int values = 0;
    for (const auto& line : tip) {
        names = std::max(names, metrics.horizontalAdvance(line.name));
        values = std::max(values, metrics.horizontalAdvance(line.value));
    }
    const int width = std::max(metrics.horizontalAdvance(time), 14 + names + 14 + values) + 2 * kPadding;
    const int height = static_cast<int>(tip.size() + 1) * lineHeight + kPadding;
    QRectF box(x + 12, view_->plot().top(), width, height);
    if (box.right() > view_->width()) box.moveRight(x - 12);
    if (box.bottom() > view_->height()) box.moveBottom(view_->height() - 1);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(colors_.tipBorder, 1));
    painter.setBrush(colors_.tipBackground);
    painter.drawRoundedRect(box, 4, 4);
    QRectF row(box.left() + kPadding, box.top() + kPadding / 2.0, width - 2 * kPadding, lineHeight);
    painter.setFont(view_->font());
    painter.setPen(colors_.faintText);
    painter.drawText(row, Qt::AlignLeft | Qt::AlignVCenter, time);
    for (const auto& line : tip) {
        row.translate(0, lineHeight);
        painter.fillRect(QRectF(row.left(), row.center().y() - 2, 9, 4), line.color);
        painter.setPen(colors_.faintText);
        painter.drawText(row.adjusted(14, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter, line.name);
        painter.setPen(colors_.text);
        painter.drawText(row, Qt::AlignRight | Qt::AlignVCenter, line.value);
    }
}

}  // namespace signalbox::console

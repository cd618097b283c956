#include "console/charts/chart_legend.hpp"

#include <QPainter>

namespace signalbox::console {
namespace {

constexpr int kSwatch = 9;
constexpr int kGap = 4;
constexpr int kBetween = 11;
/// A little smaller than the title beside it.
constexpr double kTextSize = 0.92;

}  // namespace

ChartLegend::ChartLegend(QWidget* parent) : QWidget(parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    setAttribute(Qt::WA_TransparentForMouseEvents);
}

void ChartLegend::setItems(std::vector<Item> items) {
    items_ = std::move(items);
    QStringList spoken;
    for (const auto& item : items_)
        spoken << item.name + u' ' + item.value;
    setAccessibleDescription(spoken.join(QStringLiteral(", ")));
    update();
}

void ChartLegend::setColors(const QColor& name, const QColor& value) {
    nameColor_ = name;
    valueColor_ = value;
    update();
}

QSize ChartLegend::sizeHint() const {
    return {200, fontMetrics().height() + 2};
}
QSize ChartLegend::minimumSizeHint() const {
    return {40, fontMetrics().height() + 2};
}

void ChartLegend::paintEvent(QPaintEvent*) {
    QFont plain = font();
    plain.setPointSizeF(plain.pointSizeF() * kTextSize);
    QFont strong = plain;
    strong.setWeight(QFont::DemiBold);
    const QFontMetrics names(plain);
    const QFontMetrics values(strong);
    const auto widthOf = [&](const Item& item) {
        return kSwatch + kGap + names.horizontalAdvance(item.name) + kGap +
               values.horizontalAdvance(item.value);
    };
    const int moreWidth = names.horizontalAdvance(QStringLiteral("+99")) + kBetween;
    std::size_t fitting = 0;
    int used = 0;
    for (; fitting < items_.size(); ++fitting) {
        const int next = used + (fitting > 0 ? kBetween : 0) + widthOf(items_[fitting]);
        const bool last = fitting + 1 == items_.size();
        if (next + (last ? 0 : moreWidth) > width()) break;
        used = next;
    }
    const QString more =
        fitting < items_.size() ? QStringLiteral("+%1").arg(items_.size() - fitting) : QString();
    if (!more.isEmpty()) used += kBetween + names.horizontalAdvance(more);

    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    int x = std::max(0, width() - used);
    for (std::size_t i = 0; i < fitting; ++i) {
        const auto& item = items_[i];
        painter.setPen(Qt::NoPen);
        painter.setBrush(item.color);
        painter.drawRoundedRect(QRectF(x, height() / 2.0 - 2, kSwatch, 4), 2, 2);
        x += kSwatch + kGap;
        painter.setFont(plain);
        painter.setPen(nameColor_);
        painter.drawText(QRect(x, 0, width(), height()), Qt::AlignVCenter | Qt::AlignLeft, item.name);
        x += names.horizontalAdvance(item.name) + kGap;
        painter.setFont(strong);
        painter.setPen(valueColor_);
        painter.drawText(QRect(x, 0, width(), height()), Qt::AlignVCenter | Qt::AlignLeft, item.value);
        x += values.horizontalAdvance(item.value) + kBetween;
    }
    painter.setFont(plain);
    painter.setPen(nameColor_);
    if (!more.isEmpty())
        painter.drawText(QRect(x, 0, width(), height()), Qt::AlignVCenter | Qt::AlignLeft, more);
}

}  // namespace signalbox::console

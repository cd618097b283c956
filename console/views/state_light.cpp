#include "console/views/state_light.hpp"

#include <QPainter>
#include <QPainterPath>

namespace signalbox::console {
namespace {

QString colorName(Light light) {
    switch (light) {
        case Light::off:
            return QStringLiteral("off");
        case Light::starting:
            return QStringLiteral("starting");
        case Light::ready:
            return QStringLiteral("ready");
        case Light::draining:
            return QStringLiteral("draining");
        case Light::stalled:
            return QStringLiteral("stalled");
        case Light::dead:
            return QStringLiteral("dead");
        case Light::warning:
            return QStringLiteral("warning");
    }
    return QStringLiteral("off");
}

QPolygonF polygon(std::initializer_list<QPointF> points) {
    return QPolygonF(QList<QPointF>(points));
}

/// In a square from (0, 0) to (1, 1).
void drawShape(QPainter& painter, Light light, const QColor& color) {
    const QPen outline(color, 0.14, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin);
    painter.setPen(Qt::NoPen);
    painter.setBrush(color);
    switch (light) {
        case Light::ready:
            painter.drawEllipse(QRectF(0.12, 0.12, 0.76, 0.76));
            break;
        case Light::starting:
            painter.drawPie(QRectF(0.12, 0.12, 0.76, 0.76), 90 * 16, -180 * 16);
            painter.setBrush(Qt::NoBrush);
            painter.setPen(outline);
            painter.drawEllipse(QRectF(0.17, 0.17, 0.66, 0.66));
            break;
        case Light::draining:
            painter.drawPolygon(polygon({{0.06, 0.18}, {0.94, 0.18}, {0.5, 0.92}}));
            break;
        case Light::warning:
            painter.drawPolygon(polygon({{0.06, 0.84}, {0.94, 0.84}, {0.5, 0.08}}));
            break;
        case Light::stalled:
            painter.drawPolygon(polygon({{0.5, 0.0}, {1.0, 0.5}, {0.5, 1.0}, {0.0, 0.5}}));
            break;
        case Light::dead:
            painter.setPen(QPen(color, 0.22, Qt::SolidLine, Qt::RoundCap));
            painter.drawLine(QPointF(0.2, 0.2), QPointF(0.8, 0.8));
            painter.drawLine(QPointF(0.8, 0.2), QPointF(0.2, 0.8));
            break;
        case Light::off:
            painter.setBrush(Qt::NoBrush);
            painter.setPen(outline);
            painter.drawEllipse(QRectF(0.19, 0.19, 0.62, 0.62));
            break;
    }
}

}  // namespace

QPixmap lightPixmap(Light light, const Theme& theme, int size, qreal pixelRatio) {
    const int pixels = qRound(size * pixelRatio);
    QPixmap pixmap(pixels, pixels);
    pixmap.fill(Qt::transparent);
    QPainter painter(&pixmap);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.scale(pixels, pixels);
    drawShape(painter, light, theme.color(colorName(light)));
    painter.end();
    pixmap.setDevicePixelRatio(pixelRatio);
    return pixmap;
}

LightDelegate::LightDelegate(const Theme& theme, QObject* parent)
    : QStyledItemDelegate(parent), theme_(theme) {}

QSize LightDelegate::sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const {
    const QSize hint = QStyledItemDelegate::sizeHint(option, index);
    return {hint.width(), std::max(hint.height(), option.fontMetrics.height() + 9)};
}

void LightDelegate::initStyleOption(QStyleOptionViewItem* option, const QModelIndex& index) const {
    QStyledItemDelegate::initStyleOption(option, index);
    // The selection says enough; a frame within it is noise.
    option->state &= ~QStyle::State_HasFocus;
    const QVariant light = index.data(LightRole);
    if (!light.isValid()) return;
    const int size = std::max(9, option->fontMetrics.ascent());
    const qreal ratio = option->widget ? option->widget->devicePixelRatioF() : 1.0;
    const QPixmap pixmap = lightPixmap(static_cast<Light>(light.toInt()), theme_, size, ratio);
    QIcon icon(pixmap);
    icon.addPixmap(pixmap, QIcon::Selected);
    option->icon = icon;
    option->decorationSize = {size, size};
    option->features |= QStyleOptionViewItem::HasDecoration;
}

}  // namespace signalbox::console

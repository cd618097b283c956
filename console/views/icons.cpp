#include "console/views/icons.hpp"

#include <QFile>
#include <QPainter>
#include <QSvgRenderer>

namespace signalbox::console {
namespace {

QByteArray fileOf(const QString& name) {
    QFile file(QStringLiteral(":/icons/%1.svg").arg(name));
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

QPixmap drawn(const QByteArray& svg, int size) {
    QPixmap pixmap(size, size);
    pixmap.fill(Qt::transparent);
    QPainter painter(&pixmap);
    QSvgRenderer(svg).render(&painter);
    return pixmap;
}

}  // namespace

QIcon lineIcon(const QString& name, const Theme& theme) {
    QIcon icon;
    const QByteArray svg = fileOf(name);
    for (const int size : {16, 20, 32, 48, 64}) {
        const auto inColor = [&](const QString& color) {
            return drawn(QByteArray(svg).replace("currentColor", theme.color(color).name().toLatin1()), size);
        };
        icon.addPixmap(inColor(QStringLiteral("text")), QIcon::Normal);
        icon.addPixmap(inColor(QStringLiteral("disabled")), QIcon::Disabled);
    }
    return icon;
}

QIcon applicationIcon() {
    QIcon icon;
    for (const int size : {16, 32, 64, 128, 256})
        icon.addPixmap(drawn(fileOf(QStringLiteral("signalbox")), size));
    return icon;
}

}  // namespace signalbox::console

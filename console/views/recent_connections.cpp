#include "console/views/recent_connections.hpp"

#include <QSettings>

namespace signalbox::console::recentConnections {

QList<ConnectionSettings> load() {
    QSettings settings;
    QList<ConnectionSettings> recent;
    const int stored = settings.beginReadArray(QStringLiteral("recent"));
    for (int i = 0; i < std::min(stored, kMost); ++i) {
        settings.setArrayIndex(i);
        ConnectionSettings one{.url = settings.value(QStringLiteral("url")).toString(),
                               .authority = settings.value(QStringLiteral("authority")).toString(),
                               .certificate = settings.value(QStringLiteral("certificate")).toString(),
                               .key = settings.value(QStringLiteral("key")).toString()};
        if (!one.url.isEmpty()) recent.append(one);
    }
    settings.endArray();
    return recent;
}

void remember(const ConnectionSettings& connection) {
    auto recent = load();
    recent.removeIf([&](const ConnectionSettings& other) { return other.url == connection.url; });
    recent.prepend(connection);
    if (recent.size() > kMost) recent.resize(kMost);
    QSettings settings;
    settings.beginWriteArray(QStringLiteral("recent"), static_cast<int>(recent.size()));
    for (int i = 0; i < recent.size(); ++i) {
        settings.setArrayIndex(i);
        settings.setValue(QStringLiteral("url"), recent[i].url);
        settings.setValue(QStringLiteral("authority"), recent[i].authority);
        settings.setValue(QStringLiteral("certificate"), recent[i].certificate);
        settings.setValue(QStringLiteral("key"), recent[i].key);
    }
    settings.endArray();
}

}  // namespace signalbox::console::recentConnections

// The connections that were made before, newest first, kept in the settings. Certificate files by name only.
#pragma once

#include <QList>

#include "console/session/connection_settings.hpp"

namespace signalbox::console::recentConnections {

inline constexpr int kMost = 10;

QList<ConnectionSettings> load();
void remember(const ConnectionSettings& settings);

}  // namespace signalbox::console::recentConnections

// Line icons of resources/icons in the theme's colours.
#pragma once

#include <QIcon>

#include "console/views/theme.hpp"

namespace signalbox::console {

QIcon lineIcon(const QString& name, const Theme& theme);
QIcon applicationIcon();

}  // namespace signalbox::console

// The roles that all models of the console share, beside Qt's own.
#pragma once

#include <QtCore/qnamespace.h>

namespace signalbox::console {

enum Role {
    SortRole = Qt::UserRole,  ///< the number behind a readable text, for sorting and copying
    LightRole,                ///< a views' Light, as int: the state light to draw before the text
    SlotRole,                 ///< of the worker, as uint; invalid for what is no worker
    GenerationRole,           ///< of the worker, as qulonglong
    SeverityRole,             ///< wire::Severity as int
};

/// Distinguished by colour and by shape. Everything that has a state shows one of these.
enum class Light { off, starting, ready, draining, stalled, dead, warning };

}  // namespace signalbox::console
